SELECT claude_gpt.cleanup_expired_sessions() >= 0;  -- application operator: owner
