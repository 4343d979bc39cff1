package validator

// Party names a user or a client. A subject and a client_id mean something only at
// their issuer. Members that are not known are empty.
type Party struct {
	Issuer   string // iss
	Subject  string // sub
	ClientID string // client_id
}
