package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"stationd/agent/station"
	"stationd/agent/store"
)

// The audit is a chain: each row's hash covers the row and the hash before it,
// so that a row cannot be changed or taken out without breaking all that follow.
// Rows are state, not journal: nothing trims them.

// chainHead is the end of the chain.
type chainHead struct {
	Seq   uint64 `json:"seq"`
	Chain string `json:"chain"`
}

func auditKey(seq uint64) store.Key { return auditTable + store.Key(fmt.Sprintf("%016x", seq)) }

// appendAudit adds a row in the transaction of the change that it tells of.
func appendAudit(tx *store.Tx, row station.Audit) error {
	head, _, err := store.Get[chainHead](tx, auditHead)
	if err != nil {
		return err
	}
	row.Seq = head.Seq + 1
	row.Action, row.Subject, row.Detail = clip(row.Action), clip(row.Subject), clip(row.Detail)
	if row.Chain, err = chainHash(head.Chain, row); err != nil {
		return err
	}
	if err := store.Put(tx, auditKey(row.Seq), row); err != nil {
		return err
	}
	return store.Put(tx, auditHead, chainHead{Seq: row.Seq, Chain: row.Chain})
}

// Done writes down what somebody did that changes no record of the node: a camera
// was turned.
func (a *Agent) Done(ctx context.Context, actor station.Actor, action, subject, detail string) error {
	return a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		return appendAudit(tx, station.Audit{At: a.now(), Actor: actor, Action: action, Subject: subject, Result: "ok", Detail: detail})
	})
}

// auditText bounds each text of a row, in characters: rows are kept for ever, and
// what is refused may be of any length.
const auditText = 200

func clip(text string) string {
	if utf8.RuneCountInString(text) <= auditText {
		return text
	}
	return string([]rune(text)[:auditText-1]) + "…"
}

func chainHash(before string, row station.Audit) (string, error) {
	row.Chain = ""
	b, err := json.Marshal(row)
	if err != nil {
		return "", fmt.Errorf("encode audit row: %w", err)
	}
	sum := sha256.Sum256(append([]byte(before), b...))
	return hex.EncodeToString(sum[:]), nil
}

// Audit lists rows, newest first: at most limit of those before the sequence
// before (0 means from the newest).
func (a *Agent) Audit(before uint64, limit int) ([]station.Audit, error) {
	rows := []station.Audit{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.EachReverse(tx, auditTable, func(_ store.Key, row station.Audit) error {
			if before != 0 && row.Seq >= before {
				return nil
			}
			if len(rows) == limit {
				return store.ErrStop
			}
			rows = append(rows, row)
			return nil
		})
	})
	return rows, err
}

// VerifyAudit walks the whole chain and names the first row that does not fit.
func (a *Agent) VerifyAudit() error {
	return a.store.View(func(tx *store.Tx) error {
		var chain string
		var seq uint64
		err := store.Each(tx, auditTable, func(_ store.Key, row station.Audit) error {
			want, err := chainHash(chain, row)
			if err != nil {
				return err
			}
			if row.Seq != seq+1 || row.Chain != want {
				return fmt.Errorf("audit row %d does not follow from row %d", row.Seq, seq)
			}
			seq, chain = row.Seq, row.Chain
			return nil
		})
		if err != nil {
			return err
		}
		head, _, err := store.Get[chainHead](tx, auditHead)
		if err != nil {
			return err
		}
		if head.Seq != seq || head.Chain != chain {
			return fmt.Errorf("the audit ends at row %d, but its head says %d", seq, head.Seq)
		}
		return nil
	})
}
