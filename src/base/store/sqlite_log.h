#pragma once
// How a connection writes its log. SQLite writes each page of a commit in two pieces, at the end of
// a file that grows: many calls, and a second write for the file's new size. Here a commit is one
// write, and the file grows ahead of it. Everything else goes to SQLite's default file system.
//
// Needs synchronous=FULL: what was written reaches the file at the latest when it is synced, and
// other connections may not look before.

#include <memory>
#include <string>

struct sqlite3_vfs;

namespace base::store {

/// A file system of one connection, which must not outlive it.
class SqliteLog {
public:
    SqliteLog();
    ~SqliteLog();
    SqliteLog(const SqliteLog&) = delete;
    SqliteLog& operator=(const SqliteLog&) = delete;
    /// For sqlite3_open_v2.
    const char* name() const { return name_.c_str(); }

private:
    std::string name_;
    std::unique_ptr<sqlite3_vfs> vfs_;
};

}  // namespace base::store
