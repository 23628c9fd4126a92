"""An unmodified `AgentSession` whose speech-to-text, language model and voice are made here.

What it hears becomes text by loudness: a tone is speech, its end ends the turn. The model says how
many turns it was asked, the voice is a tone of `VOICE_HZ` as long as the text is.
"""

import math
import os

import numpy as np
from livekit import rtc
from livekit.agents import (
    NOT_GIVEN,
    Agent,
    AgentServer,
    AgentSession,
    JobContext,
    cli,
    llm,
    stt,
    tts,
)
from livekit.agents.language import LanguageCode

RATE, LOUDNESS, VOICE_HZ = 24_000, 8_000, 880
SECONDS_PER_WORD = 0.5
QUIET_S = 0.4
server = AgentServer(
    port=0, host="127.0.0.1", num_idle_processes=1, load_fnc=lambda: 0.1, drain_timeout=1
)


class Ears(stt.STT):
    """Hears tones as words."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))

    async def _recognize_impl(self, buffer, *, language=NOT_GIVEN, conn_options):
        raise NotImplementedError

    def stream(self, *, language=NOT_GIVEN, conn_options):
        return Hearing(stt=self, conn_options=conn_options, sample_rate=RATE)


class Hearing(stt.RecognizeStream):
    """Speech begins when it is loud and ends when it was quiet for a while."""

    async def _run(self) -> None:
        speaking, quiet_s = False, 0.0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            samples = np.frombuffer(frame.data, dtype=np.int16)
            loud = np.abs(samples.astype(int)).mean() > LOUDNESS / 8
            quiet_s = 0.0 if loud else quiet_s + frame.duration
            if loud and not speaking:
                speaking = True
                self._tell(stt.SpeechEventType.START_OF_SPEECH)
                self._tell(stt.SpeechEventType.INTERIM_TRANSCRIPT, "a")
            elif speaking and quiet_s > QUIET_S:
                speaking = False
                self._tell(stt.SpeechEventType.FINAL_TRANSCRIPT, "a tone")
                self._tell(stt.SpeechEventType.END_OF_SPEECH)

    def _tell(self, kind: stt.SpeechEventType, text: str = "") -> None:
        said = [stt.SpeechData(language=LanguageCode("en"), text=text)] if text else []
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=said))


class Mind(llm.LLM):
    """Says how many turns there were, and goes on for a while."""

    def chat(self, *, chat_ctx, tools=None, conn_options, **_):
        return Thought(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Thought(llm.LLMStream):
    """One answer."""

    async def _run(self) -> None:
        turns = sum(1 for item in self._chat_ctx.items if getattr(item, "role", "") == "user")
        text = f"turn {turns} " + "and so on " * 8
        for word in text.split():
            delta = llm.ChoiceDelta(role="assistant", content=word + " ")
            self._event_ch.send_nowait(llm.ChatChunk(id="thought", delta=delta))


class Voice(tts.TTS):
    """A tone, half a second a word."""

    def __init__(self) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1
        )

    def synthesize(self, text, *, conn_options=None):
        return Sound(tts=self, input_text=text, conn_options=conn_options)


class Sound(tts.ChunkedStream):
    """One sentence."""

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="sound", sample_rate=RATE, num_channels=1, mime_type="audio/pcm"
        )
        seconds = SECONDS_PER_WORD * len(self._input_text.split())
        phase = np.arange(int(seconds * RATE)) * (2 * math.pi * VOICE_HZ / RATE)
        output_emitter.push((LOUDNESS * np.sin(phase)).astype(np.int16).tobytes())
        output_emitter.flush()


@server.rtc_session(agent_name=os.environ.get("TEST_AGENT_NAME", ""))
async def talk(ctx: JobContext) -> None:
    """Talk with whoever is there, and answer its calls."""
    session = AgentSession(
        stt=Ears(),
        llm=Mind(),
        tts=Voice(),
        vad=None,
        turn_handling={
            "turn_detection": "stt",
            "endpointing": {"min_delay": 0.1, "max_delay": 0.5},
            "interruption": {
                "mode": "vad",
                "min_duration": 0.1,
                "resume_false_interruption": False,
            },
        },
        aec_warmup_duration=None,
    )
    await session.start(agent=Agent(instructions="Count turns."), room=ctx.room)

    async def greet(call: rtc.RpcInvocationData) -> str:
        return f"{call.caller_identity} said {call.payload}"

    ctx.room.local_participant.register_rpc_method("greet", greet)
    await ctx.room.local_participant.set_attributes({"ready": "yes"})


if __name__ == "__main__":
    cli.run_app(server)
