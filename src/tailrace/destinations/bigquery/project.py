"""A project of BigQuery, and how it is reached."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import google.auth
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials, Credentials
from google.cloud.bigquery import Client, LoadJobConfig, QueryJobConfig

from tailrace.destinations.bigquery.catalog import CATALOG, Requests
from tailrace.destinations.bigquery.errors import RULES
from tailrace.destinations.bigquery.keys import SCOPES, of_key
from tailrace.destinations.bigquery.retrying import asking
from tailrace.destinations.bigquery.session import BigQuerySession
from tailrace.destinations.bigquery.sessions import Sessions
from tailrace.destinations.bigquery.settings import Settings
from tailrace.errors import ConfigError, DestinationError
from tailrace.pipelines import is_unnamed
from tailrace.sql.error_rules import ErrorRules
from tailrace.sql.label import Label

_ANY_BUT_LABEL = re.compile(r"[^a-z0-9_-]")
_LABEL_LENGTH = 63


@dataclass(frozen=True, slots=True)
class Project:
    """A project, who asks, and what jobs are labelled with."""

    settings: Settings = field(repr=False)
    label: Label = field(default_factory=Label, compare=False)
    left_open: list[str] = field(default_factory=list, compare=False, repr=False)
    """Sessions of ours that couldn't be ended, as when the connection was lost."""
    found_at: list[str] = field(default_factory=list, compare=False, repr=False)
    """Where the dataset is, once that is known."""
    rules: ClassVar[ErrorRules] = RULES

    def open(self) -> BigQuerySession:
        """A new session; before it those end that are left open: of ours, and of the pipeline that we take over."""
        given, client = self.settings, self.client()
        datasets = [*dict.fromkeys((given.staging_schema or given.dataset, given.dataset))]
        sessions = Sessions(client, given.checkpoint_schema or given.dataset, given.request_timeout_s)
        answering = Requests(client, datasets, given.request_timeout_s).answers()
        try:
            session = BigQuerySession(
                client, answering, given.request_timeout_s, self.labels, partial(self._end, sessions)
            )
            with RULES.translated():
                self._note(sessions, session.name)
        except DestinationError as error:
            client.close()
            words = str(error).removeprefix("BigQuery: ")
            raise DestinationError(f"the project {given.project_id!r} can't be reached: {words}") from error.__cause__
        return session

    def labels(self) -> dict[str, str]:
        """What the history of jobs shows beside one."""
        labels, pipeline = {"app": "tailrace"}, self.label.pipeline
        if pipeline and not is_unnamed(pipeline):
            labels["pipeline"] = _ANY_BUT_LABEL.sub("_", pipeline.lower())[:_LABEL_LENGTH]
        if self.label.checkpoint is not None:
            labels["checkpoint"] = str(self.label.checkpoint)
        return labels

    def client(self) -> Client:
        """A client of one's own: it isn't said to be one for several threads. Its jobs run where the dataset is."""
        given = self.settings
        options = ClientOptions(api_endpoint=given.endpoint) if given.endpoint else None
        with RULES.translated():
            credentials = self.credentials()
            if not self.found_at:
                with closing(Client(given.project_id, credentials, client_options=options)) as client:
                    self.found_at.extend(self._location(client))
            location = self.found_at[0] if self.found_at else given.location
            return Client(
                given.project_id,
                credentials,
                location=location,
                client_options=options,
                default_query_job_config=QueryJobConfig(labels=self.labels()),
                default_load_job_config=LoadJobConfig(labels=self.labels()),
            )

    def credentials(self) -> Credentials:
        """Those of the settings, or of the machine."""
        given = self.settings
        if given.is_keyless:
            return AnonymousCredentials()
        with RULES.translated():
            if given.path_to_credentials_json_file:
                path = given.path_to_credentials_json_file
                try:
                    return of_key(path.read_text(), "path_to_credentials_json_file")
                except OSError as error:
                    raise ConfigError(
                        f"{str(path)!r} can't be read: {error.strerror}", key="path_to_credentials_json_file"
                    ) from None
            if given.credentials_info:
                return of_key(given.credentials_info.get_secret_value(), "credentials_info")
            found: Credentials = google.auth.default(scopes=SCOPES)[0]
        return found

    def exists(self) -> bool:
        """Whether there is a database: none is made by opening one."""
        return True

    def check(self) -> Sequence[str]:
        """Where the project is, and what is there."""
        given = self.settings
        with closing(self.open()) as session:
            found = session.query(CATALOG.schemas, (given.dataset,))
        there = "is there" if found else "isn't there yet and will be made"
        how = "the Storage Write API" if given.use_storage_write_api else "load jobs"
        return [
            f"BigQuery, the project {given.project_id!r}; rows come by {how}.",
            f"The dataset {given.dataset!r} {there}.",
        ]

    def _note(self, sessions: Sessions, name: str) -> None:
        """Note the session, once what others have left open is ended; a run without a pipeline is nobody's next one."""
        while self.left_open:
            sessions.end(self.left_open[-1])
            self.left_open.pop()
        pipeline = self.label.pipeline
        if not pipeline or is_unnamed(pipeline):
            return
        if self.label.checkpoint is None:
            sessions.take_over(pipeline, name)
        else:
            sessions.note(pipeline, name)

    def _end(self, sessions: Sessions, name: str) -> None:
        try:
            sessions.end(name)
        except RULES.raised:
            self.left_open.append(name)

    def _location(self, client: Client) -> list[str]:
        """Where the dataset is; nothing where it isn't there yet."""
        where = f"{client.project}.{self.settings.dataset}"
        try:
            found = client.get_dataset(where, **asking(self.settings.request_timeout_s))
        except NotFound:
            return []
        return [found.location]
