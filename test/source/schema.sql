-- The schema of the design document that claude_gpt grew from, statement by statement as it stands there:
-- what the benchmark measures against, what adopt_schema() takes over, and the oracle of the functions.
-- `psql -f` on an empty database builds it in schema public.
--
-- Left out: CREATE DATABASE and \c of its initialization script, and
--   CREATE TABLE messages_2024 PARTITION OF messages FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
-- which fails, because "messages" is not partitioned. Nothing else is changed, so what is wrong in it is
-- wrong here too.

-- 启用必要的扩展
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS "pgcrypto";
CREATE EXTENSION IF NOT EXISTS "pg_trgm";

-- 1. 用户表 (users)
CREATE TABLE users (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    email VARCHAR(255) UNIQUE NOT NULL,
    password_hash VARCHAR(255) NOT NULL,
    full_name VARCHAR(100),
    avatar_url TEXT,
    phone VARCHAR(20),
    preferred_language VARCHAR(10) DEFAULT 'en',
    theme_preference VARCHAR(10) DEFAULT 'light',
    
    -- Stripe相关字段
    stripe_customer_id VARCHAR(100) UNIQUE,
    subscription_id VARCHAR(100),
    subscription_tier VARCHAR(20) DEFAULT 'free' CHECK (subscription_tier IN ('free', 'base', 'pro')),
    subscription_status VARCHAR(20) DEFAULT 'inactive',
    subscription_current_period_end TIMESTAMP,
    subscription_cancel_at_period_end BOOLEAN DEFAULT FALSE,
    
    -- 使用量统计
    monthly_message_count INTEGER DEFAULT 0,
    monthly_reset_date DATE DEFAULT CURRENT_DATE,
    total_message_count INTEGER DEFAULT 0,
    
    -- 元数据
    email_verified BOOLEAN DEFAULT FALSE,
    email_verification_token VARCHAR(100),
    password_reset_token VARCHAR(100),
    password_reset_expires TIMESTAMP,
    last_login_at TIMESTAMP,
    last_active_at TIMESTAMP,
    
    -- 审计字段
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- 索引
CREATE INDEX idx_users_email ON users(email);
CREATE INDEX idx_users_stripe_customer_id ON users(stripe_customer_id);
CREATE INDEX idx_users_subscription_id ON users(subscription_id);
CREATE INDEX idx_users_created_at ON users(created_at);
CREATE INDEX idx_users_last_active_at ON users(last_active_at);

-- 触发器：自动更新 updated_at
CREATE OR REPLACE FUNCTION update_updated_at_column()
RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = CURRENT_TIMESTAMP;
    RETURN NEW;
END;
$$ language 'plpgsql';

CREATE TRIGGER update_users_updated_at 
    BEFORE UPDATE ON users 
    FOR EACH ROW 
    EXECUTE FUNCTION update_updated_at_column();

-- 2. 对话表 (conversations)
CREATE TABLE conversations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    title VARCHAR(200),
    summary TEXT,
    
    -- 对话统计
    message_count INTEGER DEFAULT 0,
    total_tokens INTEGER DEFAULT 0,
    total_cost DECIMAL(10,4) DEFAULT 0,
    
    -- 状态
    is_archived BOOLEAN DEFAULT FALSE,
    is_pinned BOOLEAN DEFAULT FALSE,
    
    -- 审计字段
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    last_message_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- 索引
CREATE INDEX idx_conversations_user_id ON conversations(user_id);
CREATE INDEX idx_conversations_created_at ON conversations(created_at);
CREATE INDEX idx_conversations_last_message_at ON conversations(last_message_at);
CREATE INDEX idx_conversations_user_archived ON conversations(user_id, is_archived);

-- 触发器
CREATE TRIGGER update_conversations_updated_at 
    BEFORE UPDATE ON conversations 
    FOR EACH ROW 
    EXECUTE FUNCTION update_updated_at_column();

-- 3. 消息表 (messages)
CREATE TABLE messages (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id UUID NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    
    -- 消息内容
    role VARCHAR(20) NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
    content TEXT NOT NULL,
    content_type VARCHAR(20) DEFAULT 'text' CHECK (content_type IN ('text', 'image', 'file')),
    
    -- AI相关
    model_used VARCHAR(50),
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    total_tokens INTEGER,
    cost DECIMAL(8,4),
    
    -- 消息状态
    status VARCHAR(20) DEFAULT 'sent' CHECK (status IN ('sending', 'sent', 'failed', 'deleted')),
    error_message TEXT,
    
    -- 元数据
    metadata JSONB,
    parent_message_id UUID REFERENCES messages(id),
    
    -- 审计字段
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- 索引
CREATE INDEX idx_messages_conversation_id ON messages(conversation_id);
CREATE INDEX idx_messages_user_id ON messages(user_id);
CREATE INDEX idx_messages_created_at ON messages(created_at);
CREATE INDEX idx_messages_role ON messages(role);
CREATE INDEX idx_messages_status ON messages(status);
CREATE INDEX idx_messages_parent_id ON messages(parent_message_id);

-- 全文搜索索引
CREATE INDEX idx_messages_content_search ON messages USING GIN(to_tsvector('english', content));

-- 触发器
CREATE TRIGGER update_messages_updated_at 
    BEFORE UPDATE ON messages 
    FOR EACH ROW 
    EXECUTE FUNCTION update_updated_at_column();

-- 4. 使用量记录表 (usage_records)
CREATE TABLE usage_records (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    
    -- 使用类型
    usage_type VARCHAR(20) NOT NULL CHECK (usage_type IN ('message', 'token', 'api_call')),
    
    -- 使用量数据
    quantity INTEGER NOT NULL DEFAULT 1,
    model_used VARCHAR(50),
    cost DECIMAL(8,4) DEFAULT 0,
    
    -- 关联数据
    message_id UUID REFERENCES messages(id),
    conversation_id UUID REFERENCES conversations(id),
    
    -- 元数据
    metadata JSONB,
    
    -- 时间
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- 索引
CREATE INDEX idx_usage_records_user_id ON usage_records(user_id);
CREATE INDEX idx_usage_records_created_at ON usage_records(created_at);
CREATE INDEX idx_usage_records_usage_type ON usage_records(usage_type);
CREATE INDEX idx_usage_records_user_date ON usage_records(user_id, DATE(created_at));
CREATE INDEX idx_usage_records_message_id ON usage_records(message_id);

-- 5. 订阅历史表 (subscription_history)
CREATE TABLE subscription_history (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    
    -- 订阅信息
    subscription_tier VARCHAR(20) NOT NULL,
    subscription_status VARCHAR(20) NOT NULL,
    stripe_subscription_id VARCHAR(100),
    stripe_invoice_id VARCHAR(100),
    
    -- 价格信息
    amount DECIMAL(10,2),
    currency VARCHAR(3) DEFAULT 'CNY',
    
    -- 时间信息
    period_start TIMESTAMP,
    period_end TIMESTAMP,
    
    -- 事件类型
    event_type VARCHAR(30) NOT NULL CHECK (event_type IN (
        'subscription_created', 'subscription_updated', 'subscription_cancelled',
        'payment_succeeded', 'payment_failed', 'trial_started', 'trial_ended'
    )),
    
    -- 元数据
    metadata JSONB,
    
    -- 审计
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- 索引
CREATE INDEX idx_subscription_history_user_id ON subscription_history(user_id);
CREATE INDEX idx_subscription_history_created_at ON subscription_history(created_at);
CREATE INDEX idx_subscription_history_event_type ON subscription_history(event_type);
CREATE INDEX idx_subscription_history_stripe_subscription_id ON subscription_history(stripe_subscription_id);

-- 6. 系统配置表 (system_configs)
CREATE TABLE system_configs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    config_key VARCHAR(100) UNIQUE NOT NULL,
    config_value JSONB NOT NULL,
    description TEXT,
    is_active BOOLEAN DEFAULT TRUE,
    
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- 索引
CREATE INDEX idx_system_configs_key ON system_configs(config_key);
CREATE INDEX idx_system_configs_active ON system_configs(is_active);

-- 触发器
CREATE TRIGGER update_system_configs_updated_at 
    BEFORE UPDATE ON system_configs 
    FOR EACH ROW 
    EXECUTE FUNCTION update_updated_at_column();

-- 初始化系统配置
INSERT INTO system_configs (config_key, config_value, description) VALUES
('ai_models', '["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]', 'Available AI models'),
('subscription_plans', '{
    "free": {"messagesPerMonth": 10, "models": ["gpt-3.5-turbo"]},
    "base": {"messagesPerMonth": 100, "models": ["gpt-3.5-turbo", "gpt-4"]},
    "pro": {"messagesPerMonth": -1, "models": ["gpt-3.5-turbo", "gpt-4", "gpt-4-turbo"]}
}', 'Subscription plan configurations'),
('rate_limits', '{"free": 10, "base": 60, "pro": 300}', 'Rate limits per minute by tier'),
('maintenance_mode', 'false', 'System maintenance mode flag');

-- 7. 会话管理表 (user_sessions)
CREATE TABLE user_sessions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    
    -- 会话信息
    session_token VARCHAR(255) UNIQUE NOT NULL,
    refresh_token VARCHAR(255) UNIQUE,
    
    -- 设备信息
    device_id VARCHAR(100),
    device_type VARCHAR(20) CHECK (device_type IN ('ios', 'android', 'web')),
    device_name VARCHAR(100),
    app_version VARCHAR(20),
    
    -- 网络信息
    ip_address INET,
    user_agent TEXT,
    
    -- 状态
    is_active BOOLEAN DEFAULT TRUE,
    expires_at TIMESTAMP NOT NULL,
    last_used_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    
    -- 审计
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- 索引
CREATE INDEX idx_user_sessions_user_id ON user_sessions(user_id);
CREATE INDEX idx_user_sessions_token ON user_sessions(session_token);
CREATE INDEX idx_user_sessions_refresh_token ON user_sessions(refresh_token);
CREATE INDEX idx_user_sessions_expires_at ON user_sessions(expires_at);
CREATE INDEX idx_user_sessions_active ON user_sessions(is_active);

-- 8. 审计日志表 (audit_logs)
CREATE TABLE audit_logs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    
    -- 用户信息
    user_id UUID REFERENCES users(id),
    user_email VARCHAR(255),
    
    -- 操作信息
    action VARCHAR(100) NOT NULL,
    resource_type VARCHAR(50) NOT NULL,
    resource_id VARCHAR(100),
    
    -- 详细信息
    old_values JSONB,
    new_values JSONB,
    
    -- 请求信息
    ip_address INET,
    user_agent TEXT,
    request_id VARCHAR(100),
    
    -- 时间
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- 索引
CREATE INDEX idx_audit_logs_user_id ON audit_logs(user_id);
CREATE INDEX idx_audit_logs_action ON audit_logs(action);
CREATE INDEX idx_audit_logs_resource ON audit_logs(resource_type, resource_id);
CREATE INDEX idx_audit_logs_created_at ON audit_logs(created_at);

CREATE VIEW user_statistics AS
SELECT 
    u.id,
    u.email,
    u.subscription_tier,
    u.subscription_status,
    u.monthly_message_count,
    u.total_message_count,
    COUNT(DISTINCT c.id) as conversation_count,
    COUNT(DISTINCT m.id) as total_messages,
    COALESCE(SUM(ur.cost), 0) as total_cost,
    u.created_at,
    u.last_active_at
FROM users u
LEFT JOIN conversations c ON u.id = c.user_id AND c.is_archived = FALSE
LEFT JOIN messages m ON u.id = m.user_id
LEFT JOIN usage_records ur ON u.id = ur.user_id
GROUP BY u.id, u.email, u.subscription_tier, u.subscription_status, 
         u.monthly_message_count, u.total_message_count, u.created_at, u.last_active_at;

CREATE VIEW conversation_summary AS
SELECT 
    c.id,
    c.user_id,
    c.title,
    c.message_count,
    c.total_tokens,
    c.total_cost,
    c.created_at,
    c.last_message_at,
    c.is_archived,
    c.is_pinned,
    m.content as last_message_content,
    m.role as last_message_role
FROM conversations c
LEFT JOIN LATERAL (
    SELECT content, role 
    FROM messages 
    WHERE conversation_id = c.id 
    ORDER BY created_at DESC 
    LIMIT 1
) m ON TRUE;

CREATE OR REPLACE FUNCTION update_user_usage(
    p_user_id UUID,
    p_message_count INTEGER DEFAULT 1,
    p_tokens INTEGER DEFAULT 0,
    p_cost DECIMAL(8,4) DEFAULT 0
) RETURNS VOID AS $$
DECLARE
    current_month_start DATE;
BEGIN
    current_month_start := DATE_TRUNC('month', CURRENT_DATE);
    
    -- 检查是否需要重置月度统计
    UPDATE users 
    SET 
        monthly_message_count = CASE 
            WHEN monthly_reset_date < current_month_start THEN p_message_count
            ELSE monthly_message_count + p_message_count
        END,
        monthly_reset_date = CASE 
            WHEN monthly_reset_date < current_month_start THEN current_month_start
            ELSE monthly_reset_date
        END,
        total_message_count = total_message_count + p_message_count,
        last_active_at = CURRENT_TIMESTAMP
    WHERE id = p_user_id;
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION check_subscription_limit(
    p_user_id UUID,
    p_action VARCHAR(20) DEFAULT 'message'
) RETURNS BOOLEAN AS $$
DECLARE
    user_tier VARCHAR(20);
    monthly_usage INTEGER;
    limit_value INTEGER;
BEGIN
    -- 获取用户订阅等级和使用量
    SELECT subscription_tier, monthly_message_count 
    INTO user_tier, monthly_usage
    FROM users 
    WHERE id = p_user_id;
    
    -- 获取限制值
    SELECT (config_value->user_tier->>'messagesPerMonth')::INTEGER
    INTO limit_value
    FROM system_configs 
    WHERE config_key = 'subscription_plans';
    
    -- -1 表示无限制
    IF limit_value = -1 THEN
        RETURN TRUE;
    END IF;
    
    -- 检查是否超过限制
    RETURN monthly_usage < limit_value;
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION cleanup_expired_sessions() RETURNS INTEGER AS $$
DECLARE
    deleted_count INTEGER;
BEGIN
    DELETE FROM user_sessions 
    WHERE expires_at < CURRENT_TIMESTAMP OR is_active = FALSE;
    
    GET DIAGNOSTICS deleted_count = ROW_COUNT;
    RETURN deleted_count;
END;
$$ LANGUAGE plpgsql;

-- 创建复合索引
CREATE INDEX idx_messages_conversation_created ON messages(conversation_id, created_at DESC);
