# A server of an earlier release, which tools/build-release has built from its commit: OLD_RELEASE is its installation.
#   OldRelease::skip_unless_built();                  # before the plan
#   my $node = OldRelease::new_node('name', $conf);   # runs the earlier release; roles are made
#   OldRelease::fill($node, 'app');                   # a database as its users leave it
#   OldRelease::install_this_release($node);          # the server restarts with this one
#   my $installation = OldRelease::own_installation(); # for new_node: one that may be changed
#   OldRelease::overwrite($installation);             # puts this release's files there, as make install does
package OldRelease;
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our $version = '0.4.0';
my $scripts = "$FindBin::RealBin/../releases";

sub skip_unless_built
{
    plan skip_all => "release $version was not built: " . ($ENV{NO_OLD_RELEASE} // 'tools/test builds it') unless $ENV{OLD_RELEASE};
    return;
}

sub new_node
{
    my ($name, $settings, $installation) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name, install_path => $installation // $ENV{OLD_RELEASE});
    $node->init(allows_streaming => 'logical');
    $node->append_conf('postgresql.conf', "fsync = off\nshared_preload_libraries = 'claude_gpt'\n" . $settings);
    $node->start;
    $node->safe_psql('postgres', join ';', map { "CREATE ROLE $_ LOGIN" } qw(keeper app reader supporter guest));
    return $node;
}

# Runs files of test/releases in a new database.
sub fill
{
    my ($node, $database, @more) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database");
    $node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database), '-o', '/dev/null', map { ('-f', "$scripts/$_") } "fill_$version.sql", @more ], "$database is filled by the functions of $version");
    return;
}

sub install_this_release
{
    my ($node) = @_;
    $node->stop if $node->{_pid};
    delete $node->{_install_path};
    $node->start;
    return;
}

sub folder { my ($option) = @_; my $folder = qx{"$ENV{PG_CONFIG}" --$option}; chomp $folder; return $folder }

sub own_installation
{
    my ($root) = $ENV{OLD_RELEASE} =~ m{^(.*)\Q@{[ folder('bindir') =~ s{/bin$}{}r ]}\E$} or die 'OLD_RELEASE is of another server';
    my $copy = PostgreSQL::Test::Utils::tempdir_short;
    system_or_bail('cp', '-a', "$root/.", $copy);
    return $copy . substr $ENV{OLD_RELEASE}, length $root;
}

sub overwrite
{
    my ($installation) = @_;
    my $root = substr $installation, 0, length($installation) - length(folder('bindir') =~ s{/bin$}{}r);
    for my $folder (folder('pkglibdir'), folder('sharedir') . '/extension')
    {
        for my $file (glob "$folder/claude_gpt*")
        {
            # Another file of the same name: the server keeps the one that it has loaded.
            my $to = "$root$file";
            unlink $to;
            system_or_bail('cp', $file, $to);
        }
    }
    return;
}

1;
