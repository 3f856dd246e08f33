"""Requests, answers, jobs and the rules between them: pure, frozen, no I/O."""
