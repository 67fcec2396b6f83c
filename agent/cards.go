package agent

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"stationd/agent/station"
	"stationd/agent/store"
)

// Step cards: what to do about each kind of alarm, whom to ring, what not to do.
// The program comes with one for every kind; the console edits them, and every
// version stays.

//go:embed cards.json
var shippedCards []byte

// cards are the shipped cards by kind.
type cards map[station.AlarmKind]station.Card

// CardOther is the card of the kinds that have none of their own.
const CardOther station.AlarmKind = "other"

// readCards reads the cards that the program comes with.
func readCards() (cards, error) {
	var list []station.Card
	if err := json.Unmarshal(shippedCards, &list); err != nil {
		return nil, fmt.Errorf("read the shipped cards: %w", err)
	}
	out := make(cards, len(list))
	for _, c := range list {
		if err := checkCard(c); err != nil {
			return nil, fmt.Errorf("shipped card %q: %w", c.Kind, err)
		}
		out[c.Kind] = c
	}
	return out, nil
}

// The bounds of a card.
const (
	maxSteps    = 12
	maxPhones   = 6
	maxCards    = 200
	maxVersions = 1000
)

// cardLanguages are the languages that a card is written in; the first is needed.
func cardLanguages() []string { return []string{"zh", "en"} }

func checkCard(c station.Card) error {
	var faults []error
	bad := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	bad(checkID("kind", string(c.Kind)))
	if len(c.Text[cardLanguages()[0]].Steps) == 0 {
		bad(invalid("text.zh.steps", "write at least one step", "the card has no steps"))
	}
	for lang, text := range c.Text {
		if !slices.Contains(cardLanguages(), lang) {
			bad(invalid("text."+lang, "use zh and en", "cards are not shown in %q", lang))
			continue
		}
		if len(text.Steps) > maxSteps {
			bad(invalid("text."+lang+".steps", fmt.Sprintf("write at most %d; nobody reads more while it burns", maxSteps), "there are %d steps", len(text.Steps)))
		}
		for i, step := range text.Steps {
			at := fmt.Sprintf("text.%s.steps[%d].text", lang, i)
			bad(checkText(at, step.Text, 80))
			if strings.TrimSpace(step.Text) == "" {
				bad(invalid(at, "write the step or take it out", "the step is empty"))
			}
		}
		if len(text.Phones) > maxPhones {
			bad(invalid("text."+lang+".phones", fmt.Sprintf("keep at most %d", maxPhones), "there are %d telephone buttons", len(text.Phones)))
		}
		for i, p := range text.Phones {
			at := fmt.Sprintf("text.%s.phones[%d]", lang, i)
			bad(checkText(at+".label", p.Label, 20))
			if strings.TrimSpace(p.Label) == "" {
				bad(invalid(at+".label", "say who answers: 消防", "the button has no name"))
			}
			if !dialable(p.Number) {
				bad(invalid(at+".number", "use 3 to 20 digits", "%q is no telephone number", p.Number))
			}
		}
	}
	return errors.Join(faults...)
}

// cardOf is the card of a kind as it holds now.
func (a *Agent) cardOf(tx *store.Tx, kind station.AlarmKind) (station.Card, error) {
	c, ok, err := store.Get[station.Card](tx, key(cardTable, string(kind)))
	if err != nil || ok {
		return c, err
	}
	if c, ok = a.cards[kind]; ok {
		return c, nil
	}
	if kind == CardOther {
		return station.Card{Kind: kind}, nil
	}
	return a.cardOf(tx, CardOther)
}

// Cards lists the cards as they hold now, by kind.
func (a *Agent) Cards() ([]station.Card, error) {
	byKind := map[station.AlarmKind]station.Card{}
	for kind, c := range a.cards {
		byKind[kind] = c
	}
	err := a.store.View(func(tx *store.Tx) error {
		return store.Each(tx, cardTable, func(_ store.Key, c station.Card) error {
			byKind[c.Kind] = c
			return nil
		})
	})
	out := make([]station.Card, 0, len(byKind))
	for _, c := range byKind {
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y station.Card) int { return strings.Compare(string(x.Kind), string(y.Kind)) })
	return out, err
}

// Card is the card of one kind; of a kind that has none, the one for all others.
func (a *Agent) Card(kind station.AlarmKind) (c station.Card, err error) {
	err = a.store.View(func(tx *store.Tx) (err error) {
		c, err = a.cardOf(tx, kind)
		return err
	})
	return c, err
}

// CardVersions lists the earlier versions of a card, newest first, down to the one
// that the program came with.
func (a *Agent) CardVersions(kind station.AlarmKind) ([]station.Card, error) {
	out := []station.Card{}
	err := a.store.View(func(tx *store.Tx) error {
		return store.EachReverse(tx, key(cardPast, string(kind))+"/", func(_ store.Key, c station.Card) error {
			out = append(out, c)
			return nil
		})
	})
	if c, ok := a.cards[kind]; ok {
		out = append(out, c)
	}
	return out, err
}

func preparePutCard(a *Agent, cmd station.Command) (plan, error) {
	c, err := decodeBody[station.Card](cmd)
	if err != nil {
		return plan{}, err
	}
	c.Kind = station.AlarmKind(cmd.Subject)
	if err := checkCard(c); err != nil {
		return plan{}, err
	}
	edited := c.Version
	return a.changeCard(cmd, func(before station.Card) (station.Card, error) {
		if before.Kind == c.Kind && before.Version != edited {
			return c, station.Errorf(http.StatusConflict, "card.version", "load the card again and make the change anew", "somebody has changed the card since: it is at version %d, not %d", before.Version, edited).At("version")
		}
		return c, nil
	}), nil
}

// prepareResetCard puts the text back that the program came with, as a version of
// its own.
func prepareResetCard(a *Agent, cmd station.Command) (plan, error) {
	shipped, ok := a.cards[station.AlarmKind(cmd.Subject)]
	if !ok {
		return plan{}, station.Errorf(http.StatusNotFound, "card.own", "write the card anew", "the program came with no card for %q", clip(cmd.Subject)).At("card")
	}
	return a.changeCard(cmd, func(station.Card) (station.Card, error) { return shipped, nil }), nil
}

// changeCard is the plan that puts a new version in the place of the one before.
func (a *Agent) changeCard(cmd station.Command, change func(before station.Card) (station.Card, error)) plan {
	now := a.now()
	kind := station.AlarmKind(cmd.Subject)
	return plan{subject: "card/" + cmd.Subject, lane: station.LaneNormal, apply: func(tx *store.Tx) (any, error) {
		before, err := a.cardOf(tx, kind)
		if err != nil {
			return nil, err
		}
		c, err := change(before)
		if err != nil {
			return nil, err
		}
		c.Kind, c.Version, c.By, c.Name, c.At = kind, 1, cmd.Actor.Account, cmd.Actor.Name, now
		if before.Kind == kind {
			c.Version = before.Version + 1
		}
		if c.Version > maxVersions {
			return nil, station.Errorf(http.StatusConflict, "card.many", "ask whoever keeps the program", "the card has been changed %d times", before.Version)
		}
		if before.Kind != kind { // a card for a kind of its own
			n := 0
			if err := store.Each(tx, cardTable, func(store.Key, station.Card) error { n++; return nil }); err != nil {
				return nil, err
			}
			if n >= maxCards {
				return nil, station.Errorf(http.StatusConflict, "card.many", "use the card \"other\"", "there are %d cards already", n)
			}
		}
		if before.Kind == kind && before.Version > 0 {
			if err := store.Put(tx, key(cardPast, string(kind), fmt.Sprintf("%06d", before.Version)), before); err != nil {
				return nil, err
			}
		}
		if err := store.Put(tx, key(cardTable, string(kind)), c); err != nil {
			return nil, err
		}
		return c, setupEvent(tx, "card/"+cmd.Subject, cmd.Actor, now, c)
	}}
}

type cardList struct {
	Cards []station.Card `json:"cards"`
}

func (a *Agent) cardRoutes() []station.Route {
	const path, one = "/api/v1/cards", "/api/v1/cards/{id}"
	kindOf := func(r *http.Request) station.AlarmKind { return station.AlarmKind(r.PathValue("id")) }
	return []station.Route{
		{Pattern: "GET " + path, Permission: station.PermWatch, Resource: "cards", Summary: "List the step cards", Reply: cardList{}, Handler: list(a.Cards, func(v []station.Card) any { return cardList{v} })},
		{Pattern: "GET " + one, Permission: station.PermWatch, Resource: "card/{id}", Summary: "The step card of one kind of alarm; where it has none, the one for all others", Reply: station.Card{}, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			c, err := a.Card(kindOf(r))
			if err != nil {
				return err
			}
			return station.WriteJSON(w, http.StatusOK, c)
		})},
		{Pattern: "GET " + one + "/versions", Permission: station.PermWatch, Resource: "card/{id}", Summary: "The earlier versions of a step card, newest first", Reply: cardList{}, Handler: station.Handler(func(w http.ResponseWriter, r *http.Request) error {
			v, err := a.CardVersions(kindOf(r))
			if err != nil {
				return err
			}
			return station.WriteJSON(w, http.StatusOK, cardList{v})
		})},
		{Pattern: "PUT " + one, Permission: station.PermConfigure, Resource: "card/{id}", Summary: "Change a step card; version is that of the card that was edited", Body: station.Card{}, Reply: station.Card{}, Params: commandParams, Handler: a.order(station.CommandPutCard)},
		{Pattern: "DELETE " + one, Permission: station.PermConfigure, Resource: "card/{id}", Summary: "Put back the text that the program came with", Status: http.StatusNoContent, Params: commandParams, Handler: a.remove(station.CommandResetCard)},
	}
}
