package mailserver

import "github.com/emersion/go-sasl"

// loginServer is the server's side of LOGIN (draft-murchison-sasl-login),
// which go-sasl has for clients only. The prompts are those that NetX Duo's
// client demands.
type loginServer struct {
	authenticate func(user, password string) error
	user         *string // nil until it was given
	prompted     bool
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case response == nil && l.prompted:
		return nil, true, sasl.ErrUnexpectedClientResponse
	case response == nil:
		l.prompted = true
		return []byte("Username:"), false, nil
	case l.user == nil:
		user := string(response)
		l.user, l.prompted = &user, true
		return []byte("Password:"), false, nil
	}
	return nil, true, l.authenticate(*l.user, string(response))
}
