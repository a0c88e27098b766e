SELECT claude_gpt.uuid_v7() IS NOT NULL;  -- application operator: nobody
SELECT claude_gpt.uuid_v7_floor('2026-01-01Z') IS NOT NULL;  -- read application billing operator: nobody
