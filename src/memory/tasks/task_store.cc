#include "memory/tasks/task_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json/json.h"
#include "base/store/store.h"

namespace memory::tasks {

namespace json = base::json;
using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::store::Blob;
using base::store::Row;
using base::store::Transaction;

namespace {

// Where `state` is not asked for, an empty one stands in its place.
constexpr std::string_view kColumns =
    "task, number, name, result, reflection, next_steps, progress, finished, created, memory, "
    "state IS NOT NULL";

std::string to_json(const std::vector<std::string>& steps) {
    json::array out;
    for (const std::string& step : steps) out.push_back(json::string(step));
    return base::to_text(out);
}

std::vector<std::string> steps_of(std::string_view text) {
    std::vector<std::string> steps;
    const auto parsed = base::parse_json(text);
    if (!parsed || !parsed->is_array()) return steps;
    for (const json::value& step : parsed->get_array()) {
        if (step.is_string()) steps.emplace_back(step.get_string());
    }
    return steps;
}

Checkpoint read(const Row& row) {
    Checkpoint out;
    out.task = row.text(0);
    out.number = static_cast<std::uint32_t>(row.integer(1));
    out.name = row.text(2);
    out.result = row.text(3);
    out.reflection = row.text(4);
    out.next_steps = steps_of(row.text(5));
    if (!row.null(6)) out.progress = row.real(6);
    out.finished = row.integer(7) != 0;
    out.created_unix_ms = row.integer(8);
    out.memory = row.text(9);
    out.state_kept = row.integer(10) != 0;
    return out;
}

/// What a step leaves to be found. Empty: nothing.
std::string memory_text(const Checkpoint& checkpoint) {
    std::string text = checkpoint.result;
    if (!checkpoint.reflection.empty()) {
        text += (text.empty() ? "" : "\n") + checkpoint.reflection;
    }
    return text;
}

std::unexpected<base::Error> no_task(std::string_view task) {
    return fail_on("task", Code::not_found, "there is no task '{}'", task.substr(0, 64));
}

Result<std::uint32_t> last_number(Transaction& tx, std::string_view tenant, std::string_view task) {
    std::int64_t last = 0;
    DG_TRY(tx.query("SELECT max(number) FROM task_checkpoint WHERE tenant = $1 AND task = $2",
                    {tenant, task}, [&](const Row& row) {
                        last = row.integer(0);
                        return true;
                    }));
    return static_cast<std::uint32_t>(last);
}

}  // namespace

std::vector<std::string> schema_steps(const base::store::Dialect& dialect) {
    return {fmt::format("CREATE TABLE task_checkpoint(tenant TEXT NOT NULL, task TEXT NOT NULL, "
                        "number BIGINT NOT NULL, name TEXT NOT NULL, state {}, result TEXT NOT "
                        "NULL, reflection TEXT NOT NULL, next_steps TEXT NOT NULL, progress DOUBLE "
                        "PRECISION, finished BIGINT NOT NULL, created BIGINT NOT NULL, memory TEXT "
                        "NOT NULL, PRIMARY KEY (tenant, task, number))",
                        dialect.blob),
            "CREATE UNIQUE INDEX task_checkpoint_name ON task_checkpoint(tenant, task, name) "
            "WHERE name <> ''",
            "ALTER TABLE task_checkpoint ADD COLUMN scope_user TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE task_checkpoint ADD COLUMN scope_agent TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE task_checkpoint ADD COLUMN scope_session TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE task_checkpoint ADD COLUMN scope_run TEXT NOT NULL DEFAULT ''"};
}

Result<void> TaskStore::open() {
    return truth_.each_store([](base::store::Store& store) {
        const auto steps = schema_steps(store.dialect());
        return base::store::migrate(store, "tasks", steps);
    });
}

Result<TaskStore::Saved> TaskStore::save(const Scope& scope, Checkpoint checkpoint,
                                         std::optional<std::uint32_t> after, std::string_view by,
                                         std::string_view model) {
    DG_TRY(check_checkpoint(checkpoint, limits_));
    if (checkpoint.created_unix_ms == 0) checkpoint.created_unix_ms = clock_.unix_ns() / 1'000'000;
    std::vector<NewEntry> remembered;
    if (std::string text = memory_text(checkpoint); !text.empty()) {
        remembered.push_back({.type = MemoryType::episodic,
                              .scope = scope,
                              .content = std::move(text),
                              .metadata = {{"task", checkpoint.task}},
                              .created_unix_ms = checkpoint.created_unix_ms});
    }
    const auto insert = [&](Transaction& tx, const std::vector<Added>& added) -> Result<void> {
        const std::uint32_t last = DG_TRY(last_number(tx, scope.tenant, checkpoint.task));
        if (after && *after != last) {
            return fail_on("after", Code::failed_precondition,
                           "task '{}' is at checkpoint {}, not {}: another worker went on with it; "
                           "resume from there",
                           checkpoint.task, last, *after);
        }
        checkpoint.number = last + 1;
        checkpoint.memory = added.empty() ? "" : added.front().id;
        const std::string steps = to_json(checkpoint.next_steps);
        const auto progress = checkpoint.progress ? base::store::Parameter(*checkpoint.progress)
                                                  : base::store::Parameter(nullptr);
        const auto number = static_cast<std::int64_t>(checkpoint.number);
        const auto inserted = tx.run(
            "INSERT INTO task_checkpoint(tenant, task, number, name, state, result, reflection, "
            "next_steps, progress, finished, created, memory, scope_user, scope_agent, "
            "scope_session, scope_run) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
            "$13, $14, $15, $16)",
            {scope.tenant, checkpoint.task, number, checkpoint.name, Blob{checkpoint.state},
             checkpoint.result, checkpoint.reflection, steps, progress,
             std::int64_t{checkpoint.finished}, checkpoint.created_unix_ms, checkpoint.memory,
             scope.user, scope.agent, scope.session, scope.run});
        if (!inserted && inserted.error().code == Code::already_exists) {
            return fail_on("name", Code::already_exists, "task '{}' has a checkpoint '{}' already",
                           checkpoint.task, checkpoint.name);
        }
        if (!inserted) return std::unexpected(inserted.error());
        DG_TRY(
            tx.run("UPDATE task_checkpoint SET state = NULL WHERE tenant = $1 AND task = $2 AND "
                   "number = $3 AND name = ''",
                   {scope.tenant, checkpoint.task, number - limits_.states_kept}));
        return {};
    };
    Saved saved;
    if (remembered.empty()) {
        DG_TRY(
            truth_.store_of(scope.tenant).write([&](Transaction& tx) { return insert(tx, {}); }));
    } else {
        saved.changes = DG_TRY(truth_.add(remembered, by, model, insert)).changes;
    }
    checkpoint.state.clear();
    saved.checkpoint = std::move(checkpoint);
    return saved;
}

Result<Checkpoint> TaskStore::resume(std::string_view tenant, std::string_view task,
                                     std::string_view name) {
    static const std::string kLast = fmt::format(
        "SELECT {}, state FROM task_checkpoint WHERE tenant = $1 AND task = $2 AND ($3 = '' OR "
        "name = $3) ORDER BY number DESC LIMIT 1",
        kColumns);
    std::optional<Checkpoint> found;
    DG_TRY(truth_.store_of(tenant).read([&](Transaction& tx) {
        return tx.query(kLast, {tenant, task, name}, [&](const Row& row) {
            found = read(row);
            found->state = row.text(11);
            return false;
        });
    }));
    if (found) return std::move(*found);
    if (name.empty()) return no_task(task);
    return fail_on("name", Code::not_found, "task '{}' has no checkpoint '{}'", task.substr(0, 64),
                   name.substr(0, 64));
}

Result<std::vector<Checkpoint>> TaskStore::list(std::string_view tenant, std::string_view task,
                                                std::uint32_t limit, std::uint32_t before) {
    static const std::string kSql = fmt::format(
        "SELECT {} FROM task_checkpoint WHERE tenant = $1 AND task = $2 AND ($3 = 0 OR number < "
        "$3) ORDER BY number DESC LIMIT $4",
        kColumns);
    std::vector<Checkpoint> found;
    DG_TRY(truth_.store_of(tenant).read([&](Transaction& tx) {
        return tx.query(kSql, {tenant, task, std::int64_t{before}, std::int64_t{limit}},
                        [&](const Row& row) {
                            found.push_back(read(row));
                            return true;
                        });
    }));
    return found;
}

Result<TaskSummary> TaskStore::summary(std::string_view tenant, std::string_view task,
                                       std::uint32_t recent) {
    auto last = DG_TRY(list(tenant, task, std::max(recent, 1u)));
    if (last.empty()) return no_task(task);
    std::ranges::reverse(last);
    std::int64_t count = 0, began = 0;
    DG_TRY(truth_.store_of(tenant).read([&](Transaction& tx) {
        return tx.query(
            "SELECT count(*), min(created) FROM task_checkpoint WHERE tenant = $1 AND task = $2",
            {tenant, task}, [&](const Row& row) {
                count = row.integer(0);
                began = row.integer(1);
                return true;
            });
    }));
    return summarise(last, static_cast<std::uint32_t>(count), began);
}

Result<std::vector<Checkpoint>> TaskStore::tasks(std::string_view tenant, std::uint32_t limit) {
    static const std::string kSql = fmt::format(
        "SELECT {} FROM task_checkpoint c WHERE tenant = $1 AND number = (SELECT max(number) FROM "
        "task_checkpoint m WHERE m.tenant = c.tenant AND m.task = c.task) ORDER BY created DESC, "
        "task LIMIT $2",
        kColumns);
    std::vector<Checkpoint> found;
    DG_TRY(truth_.store_of(tenant).read([&](Transaction& tx) {
        return tx.query(kSql, {tenant, std::int64_t{limit}}, [&](const Row& row) {
            found.push_back(read(row));
            return true;
        });
    }));
    return found;
}

Result<void> TaskStore::remove(std::string_view tenant, std::string_view task) {
    std::int64_t removed = 0;
    DG_TRY(truth_.store_of(tenant).write([&](Transaction& tx) -> Result<void> {
        removed = DG_TRY(
            tx.run("DELETE FROM task_checkpoint WHERE tenant = $1 AND task = $2", {tenant, task}));
        return {};
    }));
    if (removed == 0) return no_task(task);
    return {};
}

}  // namespace memory::tasks
