/** Runs in the page's head before the first paint, so that a dark page never flashes light. */
export const themeScript = `(()=>{let t;try{t=localStorage.getItem("intime.theme")}catch{}
document.documentElement.classList.toggle("dark",t==="dark"||t!=="light"&&matchMedia("(prefers-color-scheme: dark)").matches)})()`;
