package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// ClientTLS reads files and gives the settings for dialling serverName. The
// system's authorities are not asked: only the parent's own counts.
func ClientTLS(f Files, serverName string) (*tls.Config, error) {
	pair, pool, err := f.read()
	if err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: serverName}, nil
}

// ServerTLS gives the settings for being dialled by nodes: no connection
// without a certificate of the authority, and none that admit refuses; a nil admit
// refuses nobody. The files are read again for every connection, so that renewed
// ones need no restart.
func ServerTLS(f Files, admit func(*x509.Certificate) error) (*tls.Config, error) {
	return serverTLS(f, tls.RequireAndVerifyClientCert, admit)
}

// OpenServerTLS is ServerTLS for a door at which strangers may knock: who shows no
// certificate is let in, and what they may do is for the handlers to say. One that
// is shown must be good.
func OpenServerTLS(f Files, admit func(*x509.Certificate) error) (*tls.Config, error) {
	return serverTLS(f, tls.VerifyClientCertIfGiven, admit)
}

func serverTLS(f Files, auth tls.ClientAuthType, admit func(*x509.Certificate) error) (*tls.Config, error) {
	if _, _, err := f.read(); err != nil {
		return nil, err
	}
	base := &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: auth}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pair, pool, err := f.read()
		if err != nil {
			return nil, err
		}
		return &tls.Config{
			MinVersion: tls.VersionTLS12, ClientAuth: auth, Certificates: []tls.Certificate{pair}, ClientCAs: pool,
			VerifyConnection: func(cs tls.ConnectionState) error {
				if len(cs.PeerCertificates) == 0 {
					if auth == tls.VerifyClientCertIfGiven {
						return nil
					}
					return errors.New("no certificate")
				}
				_, err := NodeOf(cs.PeerCertificates[0])
				if err == nil && admit != nil {
					err = admit(cs.PeerCertificates[0])
				}
				return err
			},
		}, nil
	}
	// Some servers insist on a certificate in the outer settings.
	base.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, _, err := f.read()
		return &pair, err
	}
	return base, nil
}

func (f Files) read() (tls.Certificate, *x509.CertPool, error) {
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("certificate and key: %w", err)
	}
	ca, err := os.ReadFile(f.Authority)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return tls.Certificate{}, nil, fmt.Errorf("authority %s: no PEM certificate in it", f.Authority)
	}
	return pair, pool, nil
}
