package console

import (
	"net/http"
	"time"

	"stationd/agent/account"
	"stationd/agent/station"
)

// Who is signed in: the session cookie and the routes around it.

// cookieName differs between nodes, because a browser does not tell two ports
// of one host apart, and has the prefix that binds it to HTTPS where there is.
func (s *Server) cookieName() string {
	name := "stationd-" + string(s.deps.Node.ID)
	if s.deps.TLS != nil {
		return "__Host-" + name
	}
	return name
}

func (s *Server) token(r *http.Request) string {
	c, err := r.Cookie(s.cookieName())
	if err != nil {
		return ""
	}
	return c.Value
}

func (s *Server) actor(r *http.Request) (station.Actor, error) {
	return s.deps.Accounts.Session(r.Context(), s.token(r), address(r))
}

func (s *Server) setCookie(w http.ResponseWriter, token string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(), Value: token, Path: "/", MaxAge: int(life.Seconds()),
		HttpOnly: true, Secure: s.deps.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
}

// sessionView is who is signed in and what they may do.
type sessionView struct {
	Claimed     bool                 `json:"claimed"`
	NeedsCode   bool                 `json:"needsCode"`
	Actor       *station.Actor       `json:"actor,omitempty"`
	Permissions []station.Permission `json:"permissions"`
	Node        Node                 `json:"node"`
	Version     string               `json:"version,omitempty"`
}

type claimOrder struct {
	Code     string         `json:"code"`
	Account  string         `json:"account"`
	Name     string         `json:"name"`
	Password station.Secret `json:"password"`
}

type loginOrder struct {
	Account  string         `json:"account,omitempty"`
	Password station.Secret `json:"password,omitempty"`
	Token    string         `json:"token,omitempty"`
}

func (s *Server) getSession(w http.ResponseWriter, r *http.Request) error {
	actor := station.ActorFrom(r.Context())
	if t := s.token(r); t != "" && actor.Role == account.RoleDisplay {
		s.setCookie(w, t, displayLife)
	}
	return s.writeSession(w, actor)
}

func (s *Server) writeSession(w http.ResponseWriter, actor station.Actor) error {
	claimed, err := s.deps.Accounts.Claimed()
	if err != nil {
		return err
	}
	if claimed {
		// Here, not where it was claimed: a claim may have been stored whose
		// browser did not wait for the answer.
		s.claimedOnce.Do(func() { close(s.claimed) })
	}
	v := sessionView{Claimed: claimed, NeedsCode: !claimed, Permissions: []station.Permission{}, Node: s.deps.Node}
	if actor.Account != "" {
		v.Actor, v.Permissions, v.Version = &actor, account.Permissions(actor.Role), s.deps.Node.Version
	}
	return station.WriteJSON(w, http.StatusOK, v)
}

func (s *Server) postClaim(w http.ResponseWriter, r *http.Request) error {
	var o claimOrder
	if err := station.ReadJSON(w, r, &o); err != nil {
		return err
	}
	token, actor, err := s.deps.Accounts.Claim(r.Context(), o.Code, station.AccountOrder{Account: o.Account, Name: o.Name, Password: o.Password}, address(r))
	if err != nil {
		return err
	}
	s.setCookie(w, token, account.SessionLife)
	return s.writeSession(w, actor)
}

func (s *Server) postLogin(w http.ResponseWriter, r *http.Request) error {
	var o loginOrder
	if err := station.ReadJSON(w, r, &o); err != nil {
		return err
	}
	var token string
	var actor station.Actor
	var err error
	if o.Token != "" {
		token, actor, err = s.deps.Accounts.LoginByLink(r.Context(), o.Token, address(r))
	} else {
		token, actor, err = s.deps.Accounts.Login(r.Context(), o.Account, o.Password, address(r))
	}
	if err != nil {
		return err
	}
	s.setCookie(w, token, sessionLife(actor))
	return s.writeSession(w, actor)
}

// displayLife is as long as browsers keep a cookie. It is set anew whenever the
// page is loaded, so that a display is not signed out by its browser either.
const displayLife = 400 * 24 * time.Hour

func sessionLife(actor station.Actor) time.Duration {
	if actor.Role == account.RoleDisplay {
		return displayLife
	}
	return account.SessionLife
}

func (s *Server) postLogout(w http.ResponseWriter, r *http.Request) error {
	if t := s.token(r); t != "" {
		if err := s.deps.Accounts.Logout(r.Context(), t); err != nil {
			return err
		}
	}
	s.setCookie(w, "", -time.Second)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
