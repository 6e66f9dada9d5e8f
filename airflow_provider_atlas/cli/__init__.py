"""EDGE: the ``atlas`` command, without Airflow."""
