"""Stand-ins for the cloud providers: what the engine talks to in a rehearsal instead of Hetzner or Cloudflare."""
