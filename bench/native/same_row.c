/* A native function that does nothing but return a row with the columns of rate_limit(): what no function that
 * returns such a row can go below. */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(same_row);

Datum
same_row(PG_FUNCTION_ARGS)
{
	static TupleDesc row = NULL;
	Datum		values[8] = {BoolGetDatum(true), Int32GetDatum(10), Int32GetDatum(9), 0, Int32GetDatum(6)};
	bool		nulls[8] = {false, false, false, true, false, true, true, true};

	if (row == NULL)
	{
		static const char *const names[8] = {"allowed", "limit_value", "remaining", "retry_after_seconds",
											 "reset_after_seconds", "reason", "error_code", "http_status"};
		static const Oid types[8] = {BOOLOID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID, INT4OID};
		MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc	made = CreateTemplateTupleDesc(8);

		for (int i = 0; i < 8; i++)
			TupleDescInitEntry(made, i + 1, names[i], types[i], -1, 0);
		row = BlessTupleDesc(made);
		MemoryContextSwitchTo(previous);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(row, values, nulls)));
}
