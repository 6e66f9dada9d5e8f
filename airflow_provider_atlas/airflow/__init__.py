"""EDGE: what touches Airflow. When Airflow changes, this folder changes."""
