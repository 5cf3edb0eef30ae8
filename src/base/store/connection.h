#pragma once
// One connection to a database, as the group commit and the readers use it. Internal to base/store.

#include "base/store/store.h"

namespace base::store {

class Connection : public Transaction {
public:
    virtual Result<void> begin_read() = 0;
    virtual Result<void> begin_write() = 0;
    virtual Result<void> commit() = 0;
    virtual void rollback() = 0;

    virtual Result<void> savepoint() = 0;
    virtual Result<void> release() = 0;
    /// Back to the savepoint; what follows may run again.
    virtual Result<void> undo() = 0;

    /// False inside a transaction: the database has given it up on its own.
    virtual bool in_transaction() const = 0;
    /// The last failure was none of the work's doing: the same may succeed when it is run again.
    virtual bool again() const = 0;
};

}  // namespace base::store
