package protocol

// The resource and the headers of a clip's upload; package centre describes the
// exchange.
const (
	ClipsPath         = "/uplink/v1/clips/"
	HeaderOffset      = "Upload-Offset"
	HeaderLength      = "Upload-Length"
	HeaderSHA256      = "Upload-Sha256"
	HeaderChunkSHA256 = "Chunk-Sha256"
	// MaxChunk is the largest piece. A piece is held in memory until its
	// digest was checked.
	MaxChunk = 1 << 20
)

// ValidClip tells whether id can name a clip: up to 64 letters, digits and
// hyphens, so that it can be a path and a file name.
func ValidClip(id string) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for _, r := range id {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}
