"use client";

import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { Input } from "@/components/ui/input";

/** Takes an access token of the configured issuer. It is kept in the page's memory and gone with it. */
export function TokenForm({ onToken }: { onToken: (token: string) => void }) {
  const [token, setToken] = useState("");
  return (
    <form
      className="max-w-md space-y-4"
      onSubmit={(event) => {
        event.preventDefault();
        onToken(token.trim());
      }}
    >
      <Field
        label="Access token"
        hint="A bearer token of your issuer. It stays in this page's memory: reloading the page signs you out."
      >
        {(field) => (
          <Input
            {...field}
            type="password"
            autoComplete="off"
            spellCheck={false}
            required
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
        )}
      </Field>
      <Button type="submit" disabled={token.trim() === ""}>
        Sign in
      </Button>
    </form>
  );
}
