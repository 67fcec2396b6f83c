package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"stationd/video/videotest"
)

// cameras serves films as RTSP cameras until it is ended, and prints where.
func cameras(ctx context.Context, args []string, out, errs io.Writer) error {
	flags := newFlags("cameras", "serve H.264 films over RTSP, as cameras do", errs)
	var (
		at       stationFlags
		password passwordFlags
	)
	listen := flags.String("listen", "127.0.0.1:8554", "`address` to listen on")
	host := flags.String("host", "", "`name` or address under which the station reaches this machine; empty is that of --listen")
	count := flags.Int("count", 4, "`number` of cameras, at most 64")
	flags.IntVar(count, "n", 4, "the same")
	var bits bitrate
	flags.Var(&bits, "bitrate", "bits a second of each camera, such as 2M or 500k; 0 is that of the films")
	name := flags.String("name", "sim", "what the names of the cameras begin with")
	username := flags.String("username", "", "ask who pulls for this user name and its password")
	password.add(flags, "password", "the cameras")
	span := flags.Duration("for", 24*time.Hour, "how long, at most 720h")
	at.add(flags, "")
	if err := parse(flags, args); err != nil {
		return err
	}
	if err := errors.Join(within("count", *count, 1, 64), within("for", *span, time.Second, 720*time.Hour)); err != nil {
		return err
	}
	if !validName(*name) {
		return wrongUsage("--name: use a-z, 0-9 and '-', at most 20")
	}
	secret, err := password.read()
	if err != nil {
		return err
	}
	films, err := videotest.Films()
	if err != nil {
		return err
	}
	cfg := videotest.Config{Listen: *listen, Paths: map[string]string{}, Username: *username, Password: secret.Reveal(), Bitrate: int(bits)}
	ids := make([]string, *count)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%02d", *name, i+1)
		cfg.Paths[ids[i]] = films[i%len(films)].Name
	}
	server, err := videotest.Start(cfg)
	if err != nil {
		return err
	}
	defer server.Close()
	for _, id := range ids {
		fmt.Fprintln(out, seenFrom(*host, server.URL(id)))
	}
	if at.url != "" {
		s, err := at.signIn(ctx)
		if err != nil {
			return err
		}
		defer s.close()
		for i, id := range ids {
			film := films[i%len(films)]
			order := map[string]any{
				"name": fmt.Sprintf("模拟 %s %d", film.Title, i+1), "place": film.Title, "record": true,
				"url": seenFrom(*host, server.URL(id)), "username": *username, "password": secret.Reveal(),
			}
			if err := s.call(ctx, http.MethodPut, "cameras/"+id, order, nil); err != nil {
				return fmt.Errorf("set up camera %s: %w", id, err)
			}
		}
		fmt.Fprintf(out, "set up at %s\n", at.url)
	}
	wait(ctx, time.Now().Add(*span))
	served := 0
	for _, id := range ids {
		served += server.Served(id)
	}
	fmt.Fprintf(out, "played %d times\n", served)
	return nil
}

// seenFrom is a camera's address as the station must write it.
func seenFrom(host, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	if host == "" {
		if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsUnspecified() {
			return address
		}
		host = ownAddress()
	}
	u.Host = net.JoinHostPort(host, u.Port())
	return u.String()
}
