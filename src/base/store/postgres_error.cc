#include "base/store/postgres_error.h"

#include <string>

namespace base::store {
namespace {

std::string_view trimmed(std::string_view words) {
    while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) words.remove_suffix(1);
    return words;
}

bool has(std::string_view words, std::string_view part) {
    return words.find(part) != std::string_view::npos;
}

}  // namespace

std::unexpected<Error> postgres_error(std::string_view shown, std::string_view state,
                                      std::string_view words, std::string_view sql) {
    const std::string on(shown);
    const std::string_view kind = state.substr(0, 2);
    words = trimmed(words);
    if (kind == "23") return fail_on(on, Code::already_exists, "{}: {}", shown, words);
    if (state == "53100") {
        return fail_on(on, Code::resource_exhausted,
                       "the disk under {} is full: nothing was written; free some space", shown);
    }
    if (state == "53300") {
        return fail_on(on, Code::resource_exhausted,
                       "{}: {}; raise max_connections of the server or stop other clients", shown,
                       words);
    }
    if (kind == "53") return fail_on(on, Code::resource_exhausted, "{}: {}", shown, words);
    if (kind == "54" || state == "22001") {
        return fail_on(on, Code::payload_too_large, "{}: {}", shown, words);
    }
    if (state == "22021" || state == "22P05") {
        return fail_on(on, Code::invalid_argument,
                       "{}: a text has a sign that PostgreSQL does not keep, such as U+0000; leave "
                       "it out",
                       shown);
    }
    if (state == "XX001" || state == "XX002") {
        return fail_on(on, Code::data_loss,
                       "{} is damaged ({}); restore the last backup of the database, or see what "
                       "pg_amcheck says",
                       shown, words);
    }
    if (state == "42501") {
        return fail_on(on, Code::failed_precondition,
                       "{}: {}; grant the role CREATE on the database, or make the schema for it",
                       shown, words);
    }
    if (state == "25006") {
        return fail_on(on, Code::failed_precondition,
                       "{}: {}; where the server is a standby, give the primary, or several hosts "
                       "with target_session_attrs=read-write",
                       shown, words);
    }
    if (kind == "08" || kind == "40" || kind == "57" || kind == "55" || kind == "58") {
        return fail_on(on, Code::unavailable, "{}: {}", shown, words);
    }
    return fail_on(on, Code::internal, "{}: {} ({}) in {}", shown, words, state, sql);
}

bool worth_again(std::string_view state) {
    return state.starts_with("40") ||  // a deadlock, a conflict of transactions
           state == "26000" ||         // a pooler gave us another server connection
           state == "0A000";           // the plan that was prepared no longer fits its table
}

bool ends_connection(std::string_view state) {
    return state.starts_with("08") || state.starts_with("57P") || state == "25P03";
}

std::unexpected<Error> postgres_unreachable(std::string_view shown, std::string_view words) {
    const std::string on(shown);
    words = trimmed(words);
    if (has(words, "password") || has(words, "no pg_hba.conf entry") ||
        has(words, "authentication failed")) {
        return fail_on(on, Code::failed_precondition,
                       "{} does not let us in: {}; check user and password of the URL (or "
                       "~/.pgpass) and pg_hba.conf of the server",
                       shown, words);
    }
    if (has(words, "does not exist")) {
        return fail_on(on, Code::failed_precondition,
                       "{}: {}; make the role and the database first (createuser, createdb "
                       "--encoding=UTF8)",
                       shown, words);
    }
    if (has(words, "too many clients") || has(words, "remaining connection slots")) {
        return postgres_error(shown, "53300", words, "");
    }
    return fail_on(on, Code::unavailable,
                   "{} cannot be reached: {}; check that the server runs and the host and port of "
                   "the URL",
                   shown, words);
}

}  // namespace base::store
