package onviftest

import (
	"encoding/xml"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Answer answers searches on one of the machine's networks until Close, with the
// address that the device has, or the wrong one of its quirks.
func (d *Device) Answer(on *net.Interface) error {
	conn, err := net.ListenMulticastUDP("udp4", on, &net.UDPAddr{IP: net.IPv4(239, 255, 255, 250), Port: 3702})
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.searches = append(d.searches, conn)
	d.mu.Unlock()
	d.work.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := conn.ReadFromUDP(buf)
			if err != nil {
				return
			}
			if answer := d.match(buf[:n]); answer != "" {
				_, _ = conn.WriteToUDP([]byte(answer), from) // a datagram may be lost
			}
		}
	})
	return nil
}

func (d *Device) match(datagram []byte) string {
	var root node
	if err := xml.Unmarshal(datagram, &root); err != nil {
		return ""
	}
	types := root.find("Probe").find("Types").Text
	if root.find("Probe").XMLName.Local == "" || !strings.Contains(types, "Device") && (d.Recorder || !strings.Contains(types, "NetworkVideoTransmitter")) {
		return ""
	}
	kind := "dn:NetworkVideoTransmitter tds:Device"
	if d.Recorder {
		kind = "dn:NetworkVideoStorage tds:Device"
	}
	d.mu.Lock()
	q := d.quirks
	d.mu.Unlock()
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing"`+
		` xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl">`+
		`<e:Header><w:RelatesTo>%s</w:RelatesTo><w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</w:Action></e:Header>`+
		`<e:Body><d:ProbeMatches><d:ProbeMatch><w:EndpointReference><w:Address>urn:uuid:%s</w:Address></w:EndpointReference><d:Types>%s</d:Types>`+
		`<d:Scopes>onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/%s onvif://www.onvif.org/hardware/%s onvif://www.onvif.org/location/%s</d:Scopes>`+
		`<d:XAddrs>%s http://[fe80::1]/onvif/device_service</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>`,
		escape(root.find("MessageID").Text), d.Serial, kind, url.PathEscape(d.Name), url.PathEscape(d.Model), url.PathEscape("南门"), withHost(d.URL(), q.Host))
}
