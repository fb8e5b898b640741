package postgres

// Waiting is how many statements wait for the next one.
func (tx *Tx) Waiting() int { return len(tx.waiting) }
