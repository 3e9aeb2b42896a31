"""What the daemon's figures and its log tell: /metrics for Prometheus, /tuning for people."""
