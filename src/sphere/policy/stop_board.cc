#include "sphere/policy/stop_board.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/files/files.h"
#include "base/json/json.h"

namespace sphere::policy {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

bool field_covers(const std::string& scope, std::string_view value) {
    return scope.empty() || scope == value;
}

bool scope_covers(const StopScope& scope, std::string_view tenant, std::string_view agent,
                  std::string_view sandbox) {
    return field_covers(scope.tenant, tenant) && field_covers(scope.agent, agent) &&
           field_covers(scope.sandbox, sandbox);
}

bool same(const StopScope& a, const StopScope& b) {
    return a.tenant == b.tenant && a.agent == b.agent && a.sandbox == b.sandbox;
}

std::string scope_words(const StopScope& scope) {
    std::string out;
    if (!scope.tenant.empty()) out += fmt::format(" tenant {}", scope.tenant);
    if (!scope.agent.empty()) out += fmt::format(" agent {}", scope.agent);
    if (!scope.sandbox.empty()) out += fmt::format(" sandbox {}", scope.sandbox);
    return out.empty() ? " everything" : out;
}

json::object to_json(const Stop& stop) {
    return {{"tenant", stop.scope.tenant},   {"agent", stop.scope.agent},
            {"sandbox", stop.scope.sandbox}, {"epoch", stop.epoch},
            {"unix_ns", stop.unix_ns},       {"actor", stop.actor},
            {"reason", stop.reason}};
}

/// Throws what Boost.JSON throws for a member that is missing or of another type.
Stop from_json(const json::object& object) {
    const auto text = [&](std::string_view name) {
        return std::string(object.at(name).as_string().c_str());
    };
    return {{text("tenant"), text("agent"), text("sandbox")},
            object.at("epoch").to_number<std::uint64_t>(),
            object.at("unix_ns").to_number<std::int64_t>(),
            text("actor"),
            text("reason")};
}

}  // namespace

Result<std::unique_ptr<StopBoard>> StopBoard::open(std::string path, const base::Clock& clock) {
    std::unique_ptr<StopBoard> board(new StopBoard(std::move(path), clock));
    if (!base::path_exists(board->path_)) return board;
    const std::string text = DG_TRY(base::read_file(board->path_, 16u << 20));
    try {
        const auto parsed = base::parse_json(text);
        const json::object object = parsed ? parsed->as_object() : json::object{};
        board->epoch_ = object.at("epoch").to_number<std::uint64_t>();
        for (const json::value& stop : object.at("stops").as_array()) {
            board->stops_.push_back(from_json(stop.as_object()));
        }
    } catch (const std::exception&) {
        return base::fail_on(
            board->path_, Code::data_loss,
            "{} is damaged, so who is stopped is not known: look at it, then write "
            "{{\"epoch\":N,\"stops\":[]}} with a higher N, or stop everything anew",
            board->path_);
    }
    board->any_ = !board->stops_.empty();
    return board;
}

Result<void> StopBoard::write(std::uint64_t epoch, const std::vector<Stop>& stops) const {
    json::array list;
    for (const Stop& stop : stops) list.push_back(to_json(stop));
    return base::write_file_atomically(
        path_, base::to_text(json::object{{"epoch", epoch}, {"stops", std::move(list)}}) + "\n");
}

Result<std::uint64_t> StopBoard::stop(const StopScope& scope, std::string actor,
                                      std::string reason) {
    const std::scoped_lock order(writing_);
    std::vector<Stop> stops;
    std::uint64_t epoch = 0;
    {
        const std::scoped_lock lock(mutex_);
        std::erase_if(stops_, [&](const Stop& each) { return same(each.scope, scope); });
        epoch = ++epoch_;
        stops_.push_back({scope, epoch, clock_.unix_ns(), std::move(actor), std::move(reason)});
        any_ = true;
        stops = stops_;
    }
    DG_TRY(write(epoch, stops));
    return epoch;
}

Result<std::uint32_t> StopBoard::lift(const StopScope& scope) {
    const std::scoped_lock order(writing_);
    std::vector<Stop> stops = list();
    const std::size_t lifted = std::erase_if(stops, [&](const Stop& each) {
        return scope_covers(scope, each.scope.tenant, each.scope.agent, each.scope.sandbox);
    });
    if (lifted == 0) return std::uint32_t{0};
    DG_TRY(write(epoch(), stops));
    const std::scoped_lock lock(mutex_);
    stops_ = std::move(stops);
    any_ = !stops_.empty();
    return static_cast<std::uint32_t>(lifted);
}

std::optional<Stop> StopBoard::covers(std::string_view tenant, std::string_view agent,
                                      std::string_view sandbox) const {
    if (!any_) return std::nullopt;
    const std::shared_lock lock(mutex_);
    const auto newest = std::ranges::find_if(stops_.rbegin(), stops_.rend(), [&](const Stop& stop) {
        return scope_covers(stop.scope, tenant, agent, sandbox);
    });
    if (newest == stops_.rend()) return std::nullopt;
    return *newest;
}

Result<void> StopBoard::check(std::string_view tenant, std::string_view agent,
                              std::string_view sandbox) const {
    const auto stop = covers(tenant, agent, sandbox);
    if (!stop) return {};
    return base::fail(Code::permission_denied,
                      "emergency stop {} is in force for{}: {}; it ends when it is lifted",
                      stop->epoch, scope_words(stop->scope),
                      stop->reason.empty() ? "no reason given" : stop->reason);
}

std::vector<Stop> StopBoard::list() const {
    const std::shared_lock lock(mutex_);
    return stops_;
}

std::uint64_t StopBoard::epoch() const {
    const std::shared_lock lock(mutex_);
    return epoch_;
}

}  // namespace sphere::policy
