# The shipped configuration with Debian's exporter and a real Prometheus: every series of metrics() arrives under its name
# and labels, alerts and dashboard are of metrics that there are, and the exporter's role has no right beyond its level.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use HTTP::Tiny;
use IPC::Run ();
use JSON::PP;
use Patience;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %program;
for my $name (qw(prometheus prometheus-postgres-exporter promtool))
{
    ($program{$name}) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/local/bin';
    plan skip_all => "$name is not installed" if !$program{$name};
}
my $shipped = "$FindBin::RealBin/../../packaging/prometheus";
my $page = slurp_file("$FindBin::RealBin/../../docs/monitoring.md");
my ($set_up) = $page =~ /```sql\n(-- as a superuser\nCREATE ROLE prometheus .*?)```/s or die 'the page has no set-up';

# Rules and their own tests need no server.
for my $check ([ 'check', 'rules', "$shipped/claude_gpt_alerts.yaml" ], [ 'test', 'rules', "$shipped/alerts_test.yaml" ])
{
    my $out = '';
    ok(IPC::Run::run([ $program{promtool}, @$check ], '<', \undef, '>', \$out, '2>', \$out), "promtool @$check[0, 1]") or diag($out);
}

my $node = PostgreSQL::Test::Cluster->new('watched');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\nclaude_gpt.jobs = off");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', 'CREATE EXTENSION claude_gpt');
$node->safe_psql('app', $set_up);
my $user = '00000000-0000-4000-8000-000000000001';
$node->safe_psql('app', qq{
    INSERT INTO claude_gpt_data.users (id, email, password_hash) VALUES ('$user', 'a\@x', 'x');
    SELECT claude_gpt.consume_quota('$user') FROM generate_series(1, 12);
    SELECT claude_gpt.reserve_usage('$user', 1);
    CALL claude_gpt.run_job('analyze');
    CALL claude_gpt.run_job('monthly_reset')});

# The exporter, as the page starts it.
my $home = PostgreSQL::Test::Utils::tempdir_short();
my ($exporter_port, $port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
my ($arguments) = $page =~ /^ARGS="(.*)"$/m;
$arguments =~ s{/etc/prometheus/claude_gpt_queries\.yaml}{$shipped/exporter_queries.yaml};
my ($source) = $page =~ /^DATA_SOURCE_NAME="(.*)"$/m;
ok($source =~ s{host=\S+}{host=@{[ $node->host ]} port=@{[ $node->port ]}}, 'the page names the server');
my (@running, %log);
sub run_in_background
{
    my ($name, @arguments) = @_;
    $log{$name} = '';
    local $ENV{DATA_SOURCE_NAME} = $source;
    push @running, IPC::Run::start([ $program{$name}, @arguments ], '<', \undef, '>', \$log{$name}, '2>', \$log{$name});
    return $running[-1];
}
END { my $status = $?; $_->kill_kill(grace => 2) for @running; $? = $status }
run_in_background('prometheus-postgres-exporter', "--web.listen-address=127.0.0.1:$exporter_port", split ' ', $arguments);

# Prometheus, scraping faster than shipped.
my $configuration = slurp_file("$shipped/prometheus.yml");
ok($configuration =~ s/localhost:9187/127.0.0.1:$exporter_port/ && $configuration =~ s/scrape_interval: \K30s/500ms/, 'the configuration names the exporter');
$configuration =~ s{claude_gpt_alerts}{$shipped/claude_gpt_alerts};
append_to_file("$home/prometheus.yml", "global: {evaluation_interval: 500ms}\n$configuration");
run_in_background('prometheus', "--config.file=$home/prometheus.yml", "--storage.tsdb.path=$home/data", "--web.listen-address=127.0.0.1:$port");

my $http = HTTP::Tiny->new(timeout => $PostgreSQL::Test::Utils::timeout_default, proxy => undef, http_proxy => undef, all_proxy => undef);
sub api
{
    my ($path, %parameters) = @_;
    my $answer = $http->get("http://127.0.0.1:$port/api/v1/$path?" . $http->www_form_urlencode(\%parameters));
    return eval { decode_json($answer->{content}) } // { status => 'error', error => "$answer->{status} $answer->{content}" };
}
# Series as text, without the labels that the scrape adds.
sub series
{
    my ($expression) = @_;
    my $answer = api('query', query => $expression);
    return map {
        my %label = %{ $_->{metric} };
        my $name = delete $label{__name__} // '';
        my $database = delete $label{database} // '';
        delete @label{qw(instance job server)};
        $label{job} = delete $label{job_name} if exists $label{job_name};
        "$database $name {" . join(', ', map { "$_=$label{$_}" } sort keys %label) . '} ' . ($_->{value}[1] + 0)
    } @{ $answer->{data}{result} // [] };
}
sub until_true
{
    my ($what, $condition) = @_;
    return pass($what) if wait_until(sub { $_->pump_nb for @running; return $condition->() });
    fail($what);
    diag("$_: " . substr($log{$_}, -2000)) for sort keys %log;
    return;
}
sub one { my ($expression) = @_; my ($series) = series($expression); return defined $series ? $series =~ s/.* //r : undef }
sub is_scraped { my ($expression, $number, $what) = @_; return until_true($what, sub { (one($expression) // '') eq $number }) }

until_true('the server is reached', sub { (one('pg_up{job="claude_gpt"}') // 0) == 1 });
until_true('the metrics are read', sub { defined one('claude_gpt_info') });
# A scrape that a busy machine does not end in time leaves nothing of all this, until the next one.
is_scraped('pg_exporter_last_scrape_error', 0, 'by a role of the level monitor, without an error');

# What changes by itself is compared by name and labels alone.
my $moving = 'seconds|bytes|rows|health|queue';
sub told
{
    my $sql = q{SELECT format('app %s {%s} %s', m.name, (SELECT string_agg(l.key || '=' || l.value, ', ' ORDER BY l.key COLLATE "C") FROM jsonb_each_text(m.labels) AS l), m.value) FROM claude_gpt.metrics() AS m};
    return join "\n", sort map { s/^(\S+ \S*(?:$moving)\S* .*) \S+$/$1/r } split /\n/, $node->safe_psql('app', $sql);
}
sub scraped { return join "\n", sort map { s/^(\S+ \S*(?:$moving)\S* .*) \S+$/$1/r } series('{__name__=~"claude_gpt_.+"}') }
my $told = told();
until_true('what is scraped is what metrics() says', sub { scraped() eq $told }) or do { is(scraped(), $told, 'series') };
cmp_ok(scalar(split /\n/, $told), '>', 150, 'and that is a lot');
is_scraped('sum(claude_gpt_decisions_total{function="consume_quota", outcome="denied"})', 2, 'denials arrive');
is_scraped('claude_gpt_job_runs_total{job_name="analyze", outcome="succeeded"}', 1, 'runs of jobs too');
$node->safe_psql('app', "SELECT claude_gpt.consume_quota('$user')");
is_scraped('claude_gpt_decisions_total{function="consume_quota", outcome="denied"}', 3, 'a counter goes on');
$node->restart;
until_true('over a restart of the server', sub { (one('pg_up') // 0) == 1 && (one('claude_gpt_decisions_total{function="consume_quota", outcome="denied"}') // 0) == 3 });

# Alerts on the server as it is.
my %wanted = map { $_ => 1 } slurp_file("$shipped/claude_gpt_alerts.yaml") =~ /- alert: (\w+)/g;
sub alerts { return map { $_->{name} => $_ } map { @{ $_->{rules} } } @{ api('rules')->{data}{groups} } }
until_true('every alert is evaluated', sub { my %is = alerts(); keys %is == keys %wanted && !grep { $_->{health} ne 'ok' } values %is });
$node->safe_psql('app', 'ALTER TABLE claude_gpt_data.users DISABLE TRIGGER USER');
until_true('a check that becomes critical is on its way', sub { my %is = alerts(); $is{ClaudeGptCheckCritical}{state} eq 'pending' });
$node->safe_psql('app', 'ALTER TABLE claude_gpt_data.users ENABLE TRIGGER USER');
# It locks one table after the other, and may meet a scrape that reads them all: then it is called again.
until_true('migrate mends it', sub { my ($status, $out, $err) = $node->psql('app', 'CALL claude_gpt.migrate()'); $status == 0 || $err =~ /deadlock detected/ ? $status == 0 : die $err });
until_true('and gone when it is mended', sub { my %is = alerts(); $is{ClaudeGptCheckCritical}{state} eq 'inactive' });

# The dashboard asks for metrics that there are, in expressions that Prometheus understands.
my %named = map { (split ' ', $_)[1] => 1 } split /\n/, $told;
my $dashboard = decode_json(slurp_file("$shipped/grafana_dashboard.json"));
my @expressions = map { map { $_->{expr} } @{ $_->{targets} } } grep { $_->{targets} } @{ $dashboard->{panels} };
cmp_ok(scalar(@expressions), '>', 15, 'the dashboard has panels');
for my $expression (@expressions, slurp_file("$shipped/claude_gpt_alerts.yaml") =~ /expr: (?!\|)(.*)/g)
{
    my @unknown = grep { !$named{$_} } $expression =~ /\b(claude_gpt_\w+)/g;
    is("@unknown", '', "metrics of $expression");
    my $answer = api('query', query => $expression =~ s/\$__rate_interval/1m/gr =~ s/\$\w+/.*/gr);
    is($answer->{status}, 'success', 'Prometheus understands it') or diag($answer->{error});
}
until_true('and finds something', sub { !grep { !/rate|increase/ && !series(s/\$\w+/.*/gr) } @expressions });
my %ids = map { $_->{id} => 1 } @{ $dashboard->{panels} };
is(scalar(keys %ids), scalar(@{ $dashboard->{panels} }), 'each panel has an id');
my %documented = map { $_ => 1 } $page =~ /`(claude_gpt_\w+)`/g;
is(join(' ', grep { !$documented{$_} } sort keys %named), '', 'every metric is on the page');

# The role may do nothing else.
for my $statement ('SELECT email FROM claude_gpt_data.users', 'SELECT content FROM claude_gpt_data.messages', 'SELECT * FROM claude_gpt_data.system_configs', 'SELECT claude_gpt.reset_metrics()',
    "SELECT claude_gpt.consume_quota('$user')", q{SELECT claude_gpt.set_subscription(NULL, 'pro')}, 'DELETE FROM claude_gpt_data.jobs', 'CREATE TABLE claude_gpt.mine ()', 'CALL claude_gpt.run_due_jobs()')
{
    my ($rc, $out, $err) = $node->psql('app', $statement, connstr => $node->connstr('app') . ' user=prometheus');
    like($err, qr/permission denied/, "the exporter's role may not: $statement");
}
$node->safe_psql('app', q{SELECT claude_gpt.revoke_application_access('prometheus')});
until_true('without its level the exporter tells an error', sub { (one('pg_exporter_last_scrape_error') // 0) == 1 && !defined one('claude_gpt_info') });
$running[0]->pump_nb;
like($log{'prometheus-postgres-exporter'}, qr/permission denied for/, 'and what it lacks');
until_true('which is on its way to be told', sub { my %is = alerts(); $is{ClaudeGptMetricsMissing}{state} eq 'pending' });
$node->safe_psql('app', q{SELECT claude_gpt.grant_application_access('prometheus', 'monitor')});
until_true('with it all is well', sub { defined one('claude_gpt_info') });
$node->stop('immediate');
until_true('a server that is gone is told', sub { my %is = alerts(); (one('pg_up') // 0) == 0 && $is{ClaudeGptNotObserved}{state} eq 'pending' });
done_testing();
