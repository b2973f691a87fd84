"""Events brought by hand: to a function as Knative's adapter does it, or to a queue; each under a new id."""

import json
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pika
import requests

QUEUE_TYPES = {"video": "video.uploaded.v1", "mp3": "mp3.ready.v1"}


def deliver(address: str, queue: str, job_id: str) -> int:
    """Calls a function with what would come from `queue`; the status of its answer."""
    headers = {
        "Ce-Specversion": "1.0",
        "Ce-Id": str(uuid.uuid4()),
        "Ce-Source": "/jobs",
        "Ce-Type": QUEUE_TYPES[queue],
        "Content-Type": "application/json",
    }
    return requests.post(address, json.dumps({"job_id": job_id}), headers=headers, timeout=120).status_code


def deliver_at_once(addresses: Sequence[str], queue: str, job_id: str) -> list[int]:
    """One delivery for each address, all at the same time; the statuses in the order of the addresses."""
    with ThreadPoolExecutor(len(addresses)) as pool:
        return list(pool.map(lambda address: deliver(address, queue, job_id), addresses))


def publish(broker_url: str, queue: str, job_id: str, times: int) -> None:
    """Puts so many events into `queue`; returns when the broker has them."""
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    try:
        channel: Any = connection.channel()
        channel.confirm_delivery()
        for _ in range(times):
            event_id = str(uuid.uuid4())
            event = {"specversion": "1.0", "id": event_id, "source": "/jobs", "type": QUEUE_TYPES[queue]}
            event |= {"datacontenttype": "application/json", "data": {"job_id": job_id}}
            properties = pika.BasicProperties(
                message_id=event_id, content_type="application/cloudevents+json", delivery_mode=2
            )
            channel.basic_publish(queue, queue, json.dumps(event).encode(), properties, mandatory=True)
    finally:
        connection.close()
