package adapter

// Kind decides the status that a client sees.
type Kind uint8

// The kinds of faults, in the order of the contract with the host.
const (
	KindBadInput Kind = iota
	KindNotFound
	KindForbidden
	KindConflict
	KindPrecondition
	KindRateLimited
	KindUpstreamUnavailable
	KindUpstreamTimeout
	KindInternal
)

// Fault is why there is no answer: an error that a client sees.
type Fault struct {
	Kind Kind
	// Code is one that the contract declares.
	Code string
	// Message is for people; it goes to the caller.
	Message string
	// Problems are the fields that are wrong.
	Problems []Problem
	// RetryAfterMs says after how many milliseconds asking again may help; 0 if nobody knows.
	RetryAfterMs uint32
	// Diagnostic goes to the plugin's log only.
	Diagnostic string
}

// Problem is a field of the request that is wrong: its JSON Pointer, a code, and words for the caller.
type Problem struct{ Pointer, Code, Message string }

func (fault *Fault) Error() string { return fault.Code }

// NotFound says that what was asked about does not exist.
func NotFound(code, message string) *Fault {
	return &Fault{Kind: KindNotFound, Code: code, Message: message}
}

// Internal says that the adapter itself failed.
func Internal(code, diagnostic string) *Fault {
	return &Fault{Kind: KindInternal, Code: code, Message: "the service failed to answer", Diagnostic: diagnostic}
}
