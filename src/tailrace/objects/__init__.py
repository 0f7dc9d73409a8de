"""The kit of destinations on object stores: settings and keys, stores and a folder of one, and their errors."""

from tailrace.objects.folder import Folder
from tailrace.objects.settings import AwsSettings, StoreSettings

__all__ = ["AwsSettings", "Folder", "StoreSettings"]
