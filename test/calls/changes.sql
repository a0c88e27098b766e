INSERT INTO public.watched (id) VALUES (1);  -- none: owner, fires notify_change
