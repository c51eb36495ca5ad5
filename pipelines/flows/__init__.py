"""The Prefect side: flows, tasks and the little server they need. The only Prefect imports."""
