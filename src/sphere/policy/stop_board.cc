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

/// Which fields a scope names, as bits.
std::size_t kind_of(const StopScope& scope) {
    return (scope.tenant.empty() ? 0u : 1u) | (scope.agent.empty() ? 0u : 2u) |
           (scope.sandbox.empty() ? 0u : 4u);
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

std::size_t StopBoard::Hash::operator()(const Key& key) const {
    const std::hash<std::string_view> hash;
    std::size_t all = hash(key.tenant);
    for (const std::string_view text : {key.agent, key.sandbox}) {
        all = all * 0x9E3779B97F4A7C15ull + hash(text);
    }
    return all;
}

void StopBoard::put(Stop stop) {
    const std::size_t kind = kind_of(stop.scope);
    StopScope scope = stop.scope;
    const bool fresh = stops_.insert_or_assign(std::move(scope), std::move(stop)).second;
    if (fresh) ++of_kind_[kind];
    any_ = true;
}

void StopBoard::take(Table stops) {
    stops_ = std::move(stops);
    of_kind_ = {};
    for (const auto& [scope, stop] : stops_) ++of_kind_[kind_of(scope)];
    any_ = !stops_.empty();
}

Result<std::unique_ptr<StopBoard>> StopBoard::open(std::string path, const base::Clock& clock) {
    std::unique_ptr<StopBoard> board(new StopBoard(std::move(path), clock));
    if (!base::path_exists(board->path_)) return board;
    const std::string text = DG_TRY(base::read_file(board->path_, 16u << 20));
    try {
        const auto parsed = base::parse_json(text);
        const json::object object = parsed ? parsed->as_object() : json::object{};
        board->epoch_ = object.at("epoch").to_number<std::uint64_t>();
        for (const json::value& stop : object.at("stops").as_array()) {
            board->put(from_json(stop.as_object()));
        }
    } catch (const std::exception&) {
        return base::fail_on(
            board->path_, Code::data_loss,
            "{} is damaged, so who is stopped is not known: look at it, then write "
            "{{\"epoch\":N,\"stops\":[]}} with a higher N, or stop everything anew",
            board->path_);
    }
    return board;
}

Result<void> StopBoard::write(std::uint64_t epoch, const Table& stops) const {
    std::vector<const Stop*> ordered;
    for (const auto& [scope, stop] : stops) ordered.push_back(&stop);
    std::ranges::sort(ordered, {}, &Stop::epoch);
    json::array list;
    for (const Stop* stop : ordered) list.push_back(to_json(*stop));
    return base::write_file_atomically(
        path_, base::to_text(json::object{{"epoch", epoch}, {"stops", std::move(list)}}) + "\n");
}

std::uint64_t StopBoard::raise(const StopScope& scope, std::string actor, std::string reason) {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t epoch = ++epoch_;
    put({scope, epoch, clock_.unix_ns(), std::move(actor), std::move(reason)});
    return epoch;
}

Result<void> StopBoard::save() {
    const std::scoped_lock order(writing_);
    std::shared_lock lock(mutex_);
    const Table stops = stops_;
    const std::uint64_t epoch = epoch_;
    lock.unlock();
    return write(epoch, stops);
}

Result<std::uint64_t> StopBoard::stop(const StopScope& scope, std::string actor,
                                      std::string reason) {
    const std::uint64_t epoch = raise(scope, std::move(actor), std::move(reason));
    DG_TRY(save());
    return epoch;
}

Result<std::uint32_t> StopBoard::lift(const StopScope& scope) {
    const std::scoped_lock order(writing_);
    const auto within = [&](const auto& each) {
        return scope_covers(scope, each.first.tenant, each.first.agent, each.first.sandbox);
    };
    std::shared_lock reading(mutex_);
    Table left = stops_;
    const std::uint64_t epoch = epoch_;
    reading.unlock();
    const std::size_t lifted = std::erase_if(left, within);
    if (lifted == 0) return std::uint32_t{0};
    DG_TRY(write(epoch, left));
    const std::scoped_lock lock(mutex_);
    // What was raised while the file was written is newer than this order and stays.
    Table now = stops_;
    std::erase_if(now,
                  [&](const auto& each) { return within(each) && each.second.epoch <= epoch; });
    take(std::move(now));
    return static_cast<std::uint32_t>(lifted);
}

std::optional<Stop> StopBoard::covers(std::string_view tenant, std::string_view agent,
                                      std::string_view sandbox) const {
    if (!any_) return std::nullopt;
    const std::shared_lock lock(mutex_);
    const Stop* newest = nullptr;
    for (std::size_t kind = 0; kind < of_kind_.size(); ++kind) {
        if (of_kind_[kind] == 0) continue;
        const Key key{(kind & 1u) != 0 ? tenant : std::string_view(),
                      (kind & 2u) != 0 ? agent : std::string_view(),
                      (kind & 4u) != 0 ? sandbox : std::string_view()};
        const auto found = stops_.find(key);
        if (found == stops_.end()) continue;
        if (newest == nullptr || found->second.epoch > newest->epoch) newest = &found->second;
    }
    if (newest == nullptr) return std::nullopt;
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
    std::vector<Stop> stops;
    {
        const std::shared_lock lock(mutex_);
        for (const auto& [scope, stop] : stops_) stops.push_back(stop);
    }
    std::ranges::sort(stops, {}, &Stop::epoch);
    return stops;
}

std::uint64_t StopBoard::epoch() const {
    const std::shared_lock lock(mutex_);
    return epoch_;
}

}  // namespace sphere::policy
