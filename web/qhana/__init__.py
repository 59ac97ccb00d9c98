"""Plugins and their jobs at ``/qhana``, in the form of QHAna's plugin runner."""
