/* What the backend itself uses between start_meter() and stop_meter(): CPU time, user and system together, and user
 * instructions. Neither other processes nor waiting are in it. Where the processor counts no instructions (a virtual
 * machine) the result has NULL; under callgrind the count is dumped to a file instead, which measure/meter.sh reads. */
#include "postgres.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS
#endif

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(start_meter);
PG_FUNCTION_INFO_V1(stop_meter);

static int	counter = -1;
static double cpu_at_start;

static double
cpu_microseconds(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * 1e6 + used.tv_nsec / 1e3;
}

static void
open_counter(void)
{
	struct perf_event_attr wanted = {.type = PERF_TYPE_HARDWARE, .size = sizeof(wanted), .config = PERF_COUNT_HW_INSTRUCTIONS,
		.disabled = 1, .exclude_kernel = 1, .exclude_hv = 1};

	counter = (int) syscall(SYS_perf_event_open, &wanted, 0, -1, -1, 0);
}

Datum
start_meter(PG_FUNCTION_ARGS)
{
	if (counter < 0)
		open_counter();
	CALLGRIND_START_INSTRUMENTATION;
	CALLGRIND_ZERO_STATS;
	if (counter >= 0)
	{
		ioctl(counter, PERF_EVENT_IOC_RESET, 0);
		ioctl(counter, PERF_EVENT_IOC_ENABLE, 0);
	}
	cpu_at_start = cpu_microseconds();
	PG_RETURN_VOID();
}

Datum
stop_meter(PG_FUNCTION_ARGS)
{
	double		cpu = cpu_microseconds() - cpu_at_start;
	uint64		instructions = 0;
	bool		is_counted = counter >= 0 && read(counter, &instructions, sizeof(instructions)) == sizeof(instructions);
	Datum		values[2] = {Float8GetDatum(cpu), Float8GetDatum((double) instructions)};
	bool		nulls[2] = {false, !is_counted};
	TupleDesc	row;

	CALLGRIND_DUMP_STATS;
	CALLGRIND_STOP_INSTRUMENTATION;
	if (counter >= 0)
		ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}
