package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"stationd/agent/station"
	"stationd/agent/store"
)

// This file is the one door for commands: authorise, do once, audit.

// order is one kind of command.
type order struct {
	// permission that the actor needs on the resource.
	permission station.Permission
	resource   func(station.Command) string
	// prepare checks the command and does what is slow, outside the
	// transaction; the plan it returns is carried out inside.
	prepare func(a *Agent, cmd station.Command) (plan, error)
}

// plan is what a prepared command will do.
type plan struct {
	// subject is what will be changed: "camera/x". It must be what the
	// permission was asked for.
	subject string
	// detail says more in the audit, where the command's type does not say all.
	detail string
	lane   station.Lane
	// apply changes the store and returns the receipt's result.
	apply func(tx *store.Tx) (any, error)
	// kept replaces the result in the receipt that is kept, where the result
	// has a secret that is shown once.
	kept any
	// registry asks for the registry to be applied afresh afterwards.
	registry bool
	// after is done once the change is durable; nil is nothing. It must be safe
	// to do again.
	after func() error
}

// orders is every command there is. One without a permission cannot be used.
var orders = map[string]order{
	station.CommandAnswerAlarm:     {station.PermAnswer, about("alarm"), prepareAnswer},
	station.CommandPutSensor:       {station.PermConfigure, about("sensor"), preparePutSensor},
	station.CommandRemoveSensor:    {station.PermConfigure, about("sensor"), prepareRemoveSensor},
	station.CommandPutCamera:       {station.PermConfigure, about("camera"), preparePutCamera},
	station.CommandRemoveCamera:    {station.PermConfigure, about("camera"), prepareRemoveCamera},
	station.CommandPutBroker:       {station.PermConfigure, about("broker"), preparePutBroker},
	station.CommandRemoveBroker:    {station.PermConfigure, about("broker"), prepareRemoveBroker},
	station.CommandPutDevice:       {station.PermConfigure, about("device"), preparePutDevice},
	station.CommandRemoveDevice:    {station.PermConfigure, about("device"), prepareRemoveDevice},
	station.CommandRemoveClip:      {station.PermConfigure, about("clip"), prepareRemoveClip},
	station.CommandExport:          {station.PermVideo, about("camera"), prepareExport},
	station.CommandRemoveExport:    {station.PermVideo, about("camera"), prepareRemoveExport},
	station.CommandHoldEvidence:    {station.PermAnswer, about("evidence"), prepareHoldEvidence},
	station.CommandReleaseEvidence: {station.PermAccounts, about("evidence"), prepareReleaseEvidence},
	station.CommandPutAccount:      {station.PermAccounts, about("account"), preparePutAccount},
	station.CommandRemoveAccount:   {station.PermAccounts, about("account"), prepareRemoveAccount},
	station.CommandPutContact:      {station.PermConfigure, about("contact"), preparePutContact},
	station.CommandRemoveContact:   {station.PermConfigure, about("contact"), prepareRemoveContact},
	station.CommandPutChannel:      {station.PermConfigure, about("channel"), preparePutChannel},
	station.CommandRemoveChannel:   {station.PermConfigure, about("channel"), prepareRemoveChannel},
	station.CommandTestChannel:     {station.PermConfigure, about("channel"), prepareTestChannel},
	station.CommandPutDuty:         {station.PermConfigure, always("duty"), preparePutDuty},
	station.CommandLogCall:         {station.PermAnswer, about("alarm"), prepareLogCall},
	station.CommandTestSound:       {station.PermAnswer, always("sound"), prepareTestSound},

	station.CommandImportCameras:  {station.PermConfigure, always("cameras"), prepareImportCameras},
	station.CommandPutRecorder:    {station.PermConfigure, about("recorder"), preparePutRecorder},
	station.CommandRemoveRecorder: {station.PermConfigure, about("recorder"), prepareRemoveRecorder},
	station.CommandImportRecorder: {station.PermConfigure, about("recorder"), prepareImportRecorder},

	station.CommandOpenJoining:    {station.PermConfigure, always("joining"), prepareOpenJoining},
	station.CommandCloseJoining:   {station.PermConfigure, always("joining"), prepareCloseJoining},
	station.CommandAdoptSensor:    {station.PermConfigure, about("sensor"), prepareAdoptSensor},
	station.CommandReplaceSensor:  {station.PermConfigure, about("sensor"), prepareReplaceSensor},
	station.CommandServiceSensor:  {station.PermConfigure, about("sensor"), prepareServiceSensor},
	station.CommandEndService:     {station.PermConfigure, about("sensor"), prepareEndService},
	station.CommandPutCredential:  {station.PermConfigure, about("sensor"), preparePutCredential},
	station.CommandImportSensors:  {station.PermConfigure, always("sensors"), prepareImportSensors},
	station.CommandPutPeople:      {station.PermPeople, about("people"), preparePutPeople},
	station.CommandRemovePeople:   {station.PermPeople, about("people"), prepareRemovePeople},
	station.CommandPutPlan:        {station.PermConfigure, about("plan"), preparePutPlan},
	station.CommandRemovePlan:     {station.PermConfigure, about("plan"), prepareRemovePlan},
	station.CommandPutPicture:     {station.PermConfigure, about("plan"), preparePutPicture},
	station.CommandPutCard:        {station.PermConfigure, about("card"), preparePutCard},
	station.CommandResetCard:      {station.PermConfigure, about("card"), prepareResetCard},
	station.CommandWriteShiftNote: {station.PermAnswer, always("shift-notes"), prepareShiftNote},
	station.CommandArmDisplay:     {station.PermAccounts, always("displays"), prepareArmDisplay},
	station.CommandDisarmDisplay:  {station.PermAccounts, about("display"), prepareDisarmDisplay},
	station.CommandPutTemplate:    {station.PermConfigure, about("rule-template"), preparePutTemplate},
	station.CommandRemoveTemplate: {station.PermConfigure, about("rule-template"), prepareRemoveTemplate},
	station.CommandPushTemplate:   {station.PermConfigure, about("rule-template"), preparePushTemplate},
	station.CommandTakeTemplate:   {station.PermNode, about("rule-template"), prepareTakeTemplate},
	station.CommandPutRulePolicy:  {station.PermConfigure, always("rule-policy"), preparePutRulePolicy},

	station.CommandMakeEnrolment:     {station.PermAccounts, about("enrolment"), prepareMakeEnrolment},
	station.CommandWithdrawEnrolment: {station.PermAccounts, about("enrolment"), prepareWithdrawEnrolment},
	station.CommandRevokeEnrolment:   {station.PermAccounts, about("enrolment"), prepareRevokeEnrolment},

	station.CommandPutSource:    {station.PermAccounts, about("alarm-source"), preparePutSource},
	station.CommandRemoveSource: {station.PermAccounts, about("alarm-source"), prepareRemoveSource},
	station.CommandRouteAlarm:   {station.PermNode, about("alarm-route"), prepareRouteAlarm},

	station.CommandPutWall:     {station.PermAnswer, about("wall"), walls.preparePut},
	station.CommandRemoveWall:  {station.PermAnswer, about("wall"), walls.prepareRemove},
	station.CommandPutGroup:    {station.PermAnswer, about("camera-group"), groups.preparePut},
	station.CommandRemoveGroup: {station.PermAnswer, about("camera-group"), groups.prepareRemove},
	station.CommandPutTour:     {station.PermAnswer, about("tour"), tours.preparePut},
	station.CommandRemoveTour:  {station.PermAnswer, about("tour"), tours.prepareRemove},
	station.CommandPutPatrol:   {station.PermVideo, about("patrol"), preparePutPatrol},

	station.CommandShelveAlarm:     {station.PermAnswer, about("alarm"), prepareShelve},
	station.CommandUnshelveAlarm:   {station.PermAnswer, about("alarm"), prepareUnshelve},
	station.CommandTakeAlarm:       {station.PermAnswer, about("alarm"), prepareTake},
	station.CommandReleaseAlarm:    {station.PermAnswer, about("alarm"), prepareRelease},
	station.CommandNoteAlarm:       {station.PermAnswer, about("alarm"), prepareNote},
	station.CommandSeenAlarm:       {station.PermNode, about("alarm"), prepareSeen},
	station.CommandTakeOverAlarm:   {station.PermNode, about("alarm"), prepareTakeOver},
	station.CommandAskSeen:         {station.PermAnswer, about("alarm"), prepareAskSeen},
	station.CommandAskTakeOver:     {station.PermAnswer, about("alarm"), prepareAskTakeOver},
	station.CommandPutMode:         {station.PermAnswer, always("mode"), preparePutMode},
	station.CommandClaim:           {station.PermAnswer, about("alarm"), prepareClaim},
	station.CommandUnclaim:         {station.PermAnswer, about("alarm"), prepareUnclaim},
	station.CommandInstruct:        {station.PermAnswer, always("node"), prepareInstruct},
	station.CommandPutParentPolicy: {station.PermConfigure, always("parent-policy"), preparePutParentPolicy},
	station.CommandRecordClip:      {station.PermVideo, about("camera"), prepareRecordClip},
	station.CommandPutBroadcast:    {station.PermAnswer, about("broadcast"), preparePutBroadcast},
	station.CommandSeenBroadcast:   {station.PermAnswer, about("broadcast"), prepareSeenBroadcast},
	station.CommandPutSite:         {station.PermConfigure, about("node"), preparePutSite},
	station.CommandRemoveSite:      {station.PermConfigure, about("node"), prepareRemoveSite},
	station.CommandCloseNode:       {station.PermAnswer, always("node"), prepareCloseNode},
	station.CommandOpenNode:        {station.PermAnswer, always("node"), prepareOpenNode},
	station.CommandPutSchedule:     {station.PermConfigure, about("schedule"), preparePutSchedule},
	station.CommandRemoveSchedule:  {station.PermConfigure, about("schedule"), prepareRemoveSchedule},
}

func about(kind string) func(station.Command) string {
	return func(cmd station.Command) string { return kind + "/" + cmd.Subject }
}

// always is the resource of commands about one thing that there is once.
func always(resource string) func(station.Command) string {
	return func(station.Command) string { return resource }
}

// CommandPermissions lists every command with the permission it declares.
func CommandPermissions() map[string]station.Permission {
	out := make(map[string]station.Permission, len(orders))
	for name, o := range orders {
		out[name] = o.permission
	}
	return out
}

// Handle carries out a command and returns its receipt when that is durable. A
// command whose ID was seen before is not carried out again: the first receipt
// comes back. A refused or failed command leaves nothing but its audit row, and
// may be sent again under the same ID.
func (a *Agent) Handle(ctx context.Context, cmd station.Command) station.Receipt {
	receipt, err := a.handle(ctx, cmd)
	if err == nil {
		return receipt
	}
	p, ok := station.OneProblem(err)
	if !ok {
		level := slog.LevelError
		if ctx.Err() != nil {
			level = slog.LevelDebug // whoever asked did not wait
		}
		a.log.Log(ctx, level, "command failed", "command", cmd.Type, "subject", cmd.Subject, "err", err)
		p = station.Errorf(500, "internal", "try again; if it stays, look into the log", "the command failed inside")
	}
	if cmd.Actor.Account != "" {
		subject := cmd.Subject
		if o, known := orders[cmd.Type]; known {
			subject = o.resource(cmd)
		}
		a.Refused(ctx, cmd.Actor, cmd.Type, subject, p)
	}
	return station.Receipt{Command: cmd.ID, At: a.now(), Problem: p}
}

func (a *Agent) handle(ctx context.Context, cmd station.Command) (station.Receipt, error) {
	o, ok := orders[cmd.Type]
	if !ok {
		return station.Receipt{}, station.Errorf(400, "command.unknown", "known are: "+fmt.Sprint(slices.Sorted(maps.Keys(orders))), "there is no command %q", cmd.Type)
	}
	permission, class := permissionFor(cmd, o.permission)
	if err := a.Authorize(cmd.Actor, permission, o.resource(cmd)); err != nil {
		return station.Receipt{}, err
	}
	if cmd.ID == "" || len(cmd.ID) > 64 {
		return station.Receipt{}, station.Errorf(400, "command.id", "give a UUID as the command's ID", "the command has no usable ID").At("id")
	}
	now := a.now()
	if !cmd.Expires.IsZero() && now.After(cmd.Expires) {
		return station.Receipt{}, station.Errorf(410, "command.expired", "give the command again", "the command expired at %s", cmd.Expires.Format("15:04:05"))
	}
	p, err := o.prepare(a, cmd)
	if err != nil {
		return station.Receipt{}, err
	}
	if p.subject != o.resource(cmd) {
		return station.Receipt{}, station.Errorf(400, "command.subject", "name the same in both", "the command and its body are about two different things")
	}
	var receipt station.Receipt
	var repeated bool
	err = a.store.Update(ctx, p.lane, func(tx *store.Tx) error {
		receipt, repeated = station.Receipt{}, false
		first, seen, err := store.Get[keptReceipt](tx, key(receiptTable, cmd.ID))
		if err != nil {
			return err
		}
		if seen {
			if first.Type != cmd.Type || first.Subject != cmd.Subject || first.Account != cmd.Actor.Account {
				return station.Errorf(409, "command.id", "draw a new ID for each command", "the command ID was used for another command").At("id")
			}
			receipt, repeated = first.Receipt, true
			return nil
		}
		if err := heedParentPolicy(tx, class); err != nil {
			return err
		}
		result, err := p.apply(tx)
		if err != nil {
			return err
		}
		receipt = station.Receipt{Command: cmd.ID, At: now}
		if receipt.Result, err = marshalResult(result); err != nil {
			return err
		}
		kept := receipt
		if p.kept != nil {
			if kept.Result, err = marshalResult(p.kept); err != nil {
				return err
			}
		}
		if err := store.Put(tx, key(receiptTable, cmd.ID), keptReceipt{Receipt: kept, Type: cmd.Type, Subject: cmd.Subject, Account: cmd.Actor.Account}); err != nil {
			return err
		}
		return appendAudit(tx, station.Audit{At: now, Actor: cmd.Actor, Action: cmd.Type, Subject: p.subject, Result: "ok", Detail: p.detail})
	})
	if err != nil {
		return station.Receipt{}, err
	}
	if p.registry && !repeated {
		a.registryChanged()
	}
	if p.after != nil {
		if err := p.after(); err != nil {
			return station.Receipt{}, err
		}
	}
	return receipt, nil
}

// keptReceipt is a receipt with what its command was, so that an ID cannot be
// used for two commands.
type keptReceipt struct {
	station.Receipt
	Type    string `json:"type"`
	Subject string `json:"subject"`
	Account string `json:"account"`
}

func marshalResult(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the result: %w", err)
	}
	return b, nil
}

// Refused writes down that somebody was turned away. It is best effort: on a full
// disk, nothing was changed and nothing is lost.
func (a *Agent) Refused(ctx context.Context, actor station.Actor, action, subject string, refusal error) {
	p, ok := station.AsProblem(refusal)
	if !ok {
		return // it went wrong; nobody was turned away
	}
	err := a.store.Update(ctx, station.LaneNormal, func(tx *store.Tx) error {
		return appendAudit(tx, station.Audit{At: a.now(), Actor: actor, Action: action, Subject: subject, Result: p.Code, Detail: p.Message})
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		a.log.Warn("refusal not audited", "action", action, "account", actor.Account, "address", actor.Address, "err", err)
	}
}

func decodeBody[T any](cmd station.Command) (T, error) {
	var v T
	d := json.NewDecoder(bytes.NewReader(cmd.Body))
	d.DisallowUnknownFields() // a mistyped key must not be taken for a default
	if err := d.Decode(&v); err != nil {
		return v, station.Errorf(400, "body.invalid", "send what the API document describes", "the body of %s cannot be read: %v", cmd.Type, err)
	}
	return v, nil
}
