"""Labelled sequences in splits -> checks for leaks and shortcuts, each PASS, WARN or FAIL."""

from genoformer.audit.request import AuditRequest
from genoformer.audit.result import Audit, Leak
from genoformer.audit.run import audit_set

__all__ = ["Audit", "AuditRequest", "Leak", "audit_set"]
