"""The graph for the LangGraph test: it repeats what it was told, and fails or takes its time on request."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict


class State(TypedDict):
    """A conversation."""

    messages: Annotated[list[Any], add_messages]


async def say(state: State) -> dict[str, Any]:
    """Answers with the number of messages."""
    last = str(state["messages"][-1].content)
    if "please fail" in last:
        raise ValueError("it was asked to fail")
    if "please wait" in last:
        await asyncio.sleep(6)
    usage = {"input_tokens": len(last), "output_tokens": 3, "total_tokens": len(last) + 3}
    text = [{"type": "text", "text": f"message {len(state['messages'])}: {last}"}]
    return {"messages": [AIMessage(content=text, usage_metadata=usage)]}


builder = StateGraph(State)
builder.add_node("say", say)
builder.add_edge(START, "say")
builder.add_edge("say", END)
graph = builder.compile()
