"""Ingress: definitions with a stream key, and the sessions of publishers that present one.

    livekit.Ingress ─▶ definitions (store) ◀─ key ─ inputs (hook `ingress_inputs`)
                             │                        │ Sessions.open → Session.join → server.join
                             └──── states, events ◀───┘

This distribution knows no media and no transport: inputs are plugins of their own.
"""
