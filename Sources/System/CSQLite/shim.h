#include <sqlite3.h>

/* What SQLite has no plain function for: variadic calls, which Swift can't make, and the methods of an open file. */

/* The connection leaves the write-ahead log as it is when it closes: by itself the last one would copy it and delete it. */
static inline int csqlite_leave_log(sqlite3 *db) {
  return sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}

/* Maps a region of 32 KiB of the write-ahead log's index as SQLite itself does; with `extend` it is made, all of its bytes
   on the disk, where it is not there. Without, `*start` is NULL then. */
static inline int csqlite_map_log_index(sqlite3 *db, int region, int extend, const void **start) {
  sqlite3_file *file = 0;
  void volatile *mapped = 0;
  int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  *start = 0;
  if (code != SQLITE_OK) return code;
  if (!file || !file->pMethods || file->pMethods->iVersion < 2 || !file->pMethods->xShmMap) return SQLITE_NOTFOUND;
  code = file->pMethods->xShmMap(file, region, 32768, extend, &mapped);
  *start = (const void *)mapped;
  return code;
}
