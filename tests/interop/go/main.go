// A participant of the Go SDK, told what to do by lines on standard input.
//
// Each command is answered by one line of JSON: "publish FILE", "resume", "report", "leave".
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/pion/webrtc/v4"
)

const (
	patience          = 20 * time.Second
	picturesPerSecond = 30
)

// incoming is what came in of one track, from the first packet on.
type incoming struct {
	From    string `json:"from"`
	Kind    string `json:"kind"`
	Codec   string `json:"codec"`
	Packets int    `json:"packets"`
	Missing int    `json:"missing"` // sequence numbers that never came, resent neither
	Late    int    `json:"late"`    // that came after later ones
	highest int64
	first   int64
	seen    map[int64]bool
}

// take counts a packet by its sequence number, extended by the nearest way.
func (i *incoming) take(number uint16) {
	if i.Packets == 0 {
		i.first, i.highest = int64(number), int64(number)-1
	}
	extended := i.highest + int64(int16(number-uint16(i.highest)))
	if extended < i.highest {
		i.Late++
	}
	i.highest = max(i.highest, extended)
	i.seen[extended] = true
	i.Packets = len(i.seen)
	i.Missing = int(i.highest-i.first) + 1 - i.Packets
}

type participant struct {
	mutex       sync.Mutex
	room        *lksdk.Room
	tracks      map[string]*incoming
	data        []string
	reconnected chan struct{}
	left        string
}

func (p *participant) callbacks() *lksdk.RoomCallback {
	return &lksdk.RoomCallback{
		OnReconnected: func() { p.reconnected <- struct{}{} },
		OnDisconnectedWithReason: func(reason lksdk.DisconnectionReason) {
			p.mutex.Lock()
			defer p.mutex.Unlock()
			p.left = string(reason)
		},
		ParticipantCallback: lksdk.ParticipantCallback{
			OnTrackSubscribed: func(track *webrtc.TrackRemote, publication *lksdk.RemoteTrackPublication, from *lksdk.RemoteParticipant) {
				go p.count(track, publication.SID(), from.Identity())
			},
			OnDataPacket: func(packet lksdk.DataPacket, _ lksdk.DataReceiveParams) {
				if user, ok := packet.(*lksdk.UserDataPacket); ok {
					p.mutex.Lock()
					defer p.mutex.Unlock()
					p.data = append(p.data, string(user.Payload))
				}
			},
		},
	}
}

func (p *participant) count(track *webrtc.TrackRemote, sid, from string) {
	entry := &incoming{From: from, Kind: track.Kind().String(), Codec: track.Codec().MimeType, seen: map[int64]bool{}}
	p.mutex.Lock()
	p.tracks[sid] = entry
	p.mutex.Unlock()
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		p.mutex.Lock()
		entry.take(packet.SequenceNumber)
		p.mutex.Unlock()
	}
}

func (p *participant) publish(file string) (any, error) {
	// the reader's own idea of the time between pictures is wrong for IVF files
	reading := []lksdk.ReaderSampleProviderOption{}
	if strings.HasSuffix(file, ".ivf") {
		reading = append(reading, lksdk.ReaderTrackWithFrameDuration(time.Second/picturesPerSecond))
	}
	track, err := lksdk.NewLocalFileTrack(file, reading...)
	if err != nil {
		return nil, err
	}
	options := &lksdk.TrackPublicationOptions{Name: file, Source: livekit.TrackSource_MICROPHONE}
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		options.Source, options.VideoWidth, options.VideoHeight = livekit.TrackSource_CAMERA, 320, 240
	}
	publication, err := p.room.LocalParticipant.PublishTrack(track, options)
	if err != nil {
		return nil, err
	}
	return map[string]string{"sid": publication.SID()}, nil
}

func (p *participant) resume() (any, error) {
	p.room.Simulate(lksdk.SimulateSignalReconnect)
	select {
	case <-p.reconnected:
		return map[string]bool{"reconnected": true}, nil
	case <-time.After(patience):
		return nil, errors.New("not reconnected")
	}
}

func (p *participant) report() (any, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	tracks := []incoming{}
	for _, entry := range p.tracks {
		tracks = append(tracks, *entry)
	}
	others := []string{}
	for _, other := range p.room.GetRemoteParticipants() {
		others = append(others, other.Identity())
	}
	return map[string]any{"tracks": tracks, "others": others, "data": p.data, "left": p.left}, nil
}

func (p *participant) obey(line string) (any, error) {
	command, argument, _ := strings.Cut(line, " ")
	switch command {
	case "publish":
		return p.publish(argument)
	case "send":
		packet := lksdk.UserData([]byte(argument))
		return struct{}{}, p.room.LocalParticipant.PublishDataPacket(packet, lksdk.WithDataPublishReliable(true))
	case "resume":
		return p.resume()
	case "report":
		return p.report()
	case "leave":
		p.room.Disconnect()
		return struct{}{}, nil
	}
	return nil, fmt.Errorf("unknown command %q", command)
}

func main() {
	url, token := os.Args[1], os.Args[2]
	p := &participant{tracks: map[string]*incoming{}, reconnected: make(chan struct{}, 8)}
	answer := json.NewEncoder(os.Stdout)
	room, err := lksdk.ConnectToRoomWithToken(url, token, p.callbacks())
	if err != nil {
		answer.Encode(map[string]string{"error": err.Error()})
		os.Exit(1)
	}
	p.room = room
	answer.Encode(map[string]string{"sid": room.LocalParticipant.SID()})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		result, err := p.obey(lines.Text())
		if err != nil {
			result = map[string]string{"error": err.Error()}
		}
		answer.Encode(result)
		if lines.Text() == "leave" {
			return
		}
	}
	room.Disconnect()
}
