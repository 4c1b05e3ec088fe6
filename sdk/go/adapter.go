// Package adapter is for writing adapters for uuk in Go.
//
// An adapter is a function for each operation of its contract, as generated.go names it. `uuk adapter typegen` writes a
// struct per document, a function per statement of plugin.toml, and what ties them to the host.
package adapter

import (
	"encoding/json"
	"errors"
	"fmt"

	"uuk/adapter/internal/abi"
)

// Context is who asks, and for what. What is absent is empty.
type Context struct {
	ExchangeID, Client, User, RepresentedParty, Issue, Purpose string
	Provider, Service, Version, Operation                      string
	Traceparent, IdempotencyKey, ReceivedAt, Locale            string
	Attempt, DeadlineMs                                        uint32
}

// Asked is the context of the call.
var Asked Context

// Nothing is the answer of an operation that has none.
type Nothing struct{}

// Finding is the outcome of one check.
type Finding struct {
	Check  string
	OK     bool
	Detail string
}

// Probe answers the host's probe; it looks at databases and upstreams, too, if deep.
var Probe = func(deep bool) []Finding { return nil }

var operations = map[string]func(document []byte) ([]byte, error){}

// Answer has an operation answered by a function. generated.go calls it.
func Answer[Request, Response any](operation string, answer func(Request) (Response, error)) {
	operations[operation] = func(document []byte) ([]byte, error) {
		var request Request
		if err := json.Unmarshal(document, &request); err != nil {
			return nil, Internal("REQUEST_UNREADABLE", "the types are not those of the contract")
		}
		response, err := answer(request)
		if err != nil {
			return nil, err
		}
		if _, isNothing := any(response).(Nothing); isNothing {
			return nil, nil
		}
		return json.Marshal(response)
	}
}

func answer(operation string, document []byte) (answered []byte, fault *Fault) {
	// What an error says may be personal data: only its type is told.
	failed := func(reason any) *Fault {
		return Internal("ADAPTER_FAILED", fmt.Sprintf("%T in `%s`", reason, operation))
	}
	defer func() {
		if reason := recover(); reason != nil {
			fault = failed(reason)
		}
	}()
	function := operations[operation]
	if function == nil {
		return nil, Internal("OPERATION_NOT_ANSWERED", fmt.Sprintf("generated.go has no `%s`", operation))
	}
	answered, err := function(document)
	if err != nil && !errors.As(err, &fault) {
		fault = failed(err)
	}
	return answered, fault
}

// The parameters of `handle`: a context and a request.
type call struct {
	exchangeID, client                     abi.Span
	user, representedParty, issue, purpose abi.Option
	provider, service, version, operation  abi.Span
	traceparent, idempotencyKey            abi.Option
	attempt                                uint32
	receivedAt                             abi.Span
	deadlineMs                             uint32
	locale                                 abi.Option
	extensions                             abi.Span
	mediaType, document, attachments       abi.Span
}

type answeredResult struct {
	isFault                    uint8
	mediaType, document, blobs abi.Span
}

type faultResult struct {
	isFault                 uint8
	_                       [3]uint8
	kind                    Kind
	code, message, problems abi.Span
	hasRetryAfter           uint8
	retryAfterMs            uint32
	diagnostic              abi.Option
}

//go:wasmexport uuk:adapter/handler@0.1.0#handle
func handle(parameters uint32) uint32 {
	call := abi.At[call](parameters)
	Asked = Context{
		ExchangeID: call.exchangeID.String(), Client: call.client.String(), User: call.user.String(),
		RepresentedParty: call.representedParty.String(), Issue: call.issue.String(), Purpose: call.purpose.String(),
		Provider: call.provider.String(), Service: call.service.String(), Version: call.version.String(),
		Operation: call.operation.String(), Traceparent: call.traceparent.String(),
		IdempotencyKey: call.idempotencyKey.String(), ReceivedAt: call.receivedAt.String(),
		Locale: call.locale.String(), Attempt: call.attempt, DeadlineMs: call.deadlineMs,
	}
	document, fault := answer(Asked.Operation, abi.Items[byte](call.document))
	if fault == nil {
		return abi.Keep(&answeredResult{mediaType: abi.Text("application/json"), document: abi.List(document)})
	}
	type problem struct{ pointer, code, message abi.Span }
	problems := make([]problem, len(fault.Problems))
	for at, told := range fault.Problems {
		problems[at] = problem{abi.Text(told.Pointer), abi.Text(told.Code), abi.Text(told.Message)}
	}
	result := faultResult{
		isFault: 1, kind: fault.Kind, code: abi.Text(fault.Code), message: abi.Text(fault.Message),
		problems: abi.List(problems), retryAfterMs: fault.RetryAfterMs, diagnostic: abi.Some(fault.Diagnostic),
	}
	if fault.RetryAfterMs > 0 {
		result.hasRetryAfter = 1
	}
	return abi.Keep(&result)
}

//go:wasmexport uuk:adapter/probe@0.1.0#run
func probe(depth uint32) uint32 {
	type finding struct {
		check  abi.Span
		ok     bool
		detail abi.Span
	}
	var findings []finding
	for _, told := range Probe(depth == 1) {
		findings = append(findings, finding{abi.Text(told.Check), told.OK, abi.Text(told.Detail)})
	}
	list := abi.List(findings)
	return abi.Keep(&list)
}
