"""The site's rules of where data lie: their grammar and their settings. Pure; `adapters.places` looks at the disks."""
