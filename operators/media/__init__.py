"""Media as bytes and as samples: archives and their members, access to ranges, probing, ffmpeg, time lines, FLAC."""
