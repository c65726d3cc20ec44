"""The file that `reveille init` writes."""

from __future__ import annotations

STARTER = """\
# What Reveille runs here. Apply it:  reveille apply -f {name}
# Before that, what would change:     reveille apply -f {name} --dry-run
# See wakes as they come, without an agent of your own:  reveille dev -f {name}
# All fields, for editors: reveille schema > definitions.schema.json

agents:
  - name: my-agent
    timezone: UTC                     # e.g. Europe/Berlin: the zone of its schedules
    dedup_delay_seconds: 5            # firings within this time share one wake
    runtime:
      kind: http                      # your own server, called with a signed POST
      url: http://127.0.0.1:9000/wake
      # secret: {{env: MY_AGENT_SECRET}}  # signs the calls; left out, one is made and shown once

    triggers:
      - name: every-morning
        type: cron
        config: {{expr: "0 9 * * mon-fri"}}
        reason: Look at what happened since yesterday, and report what needs attention.

      - name: doorbell                # its address is shown by the apply that makes it
        type: webhook
        reason: Somebody rang. Read the payload.

    # targets:                        # who is told of its replies
    #   - name: ops
    #     kind: slack
    #     url: {{env: SLACK_URL}}
"""
