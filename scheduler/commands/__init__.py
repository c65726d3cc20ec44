"""The commands of `reveille`, one file per group; heavy imports wait until a command runs."""
