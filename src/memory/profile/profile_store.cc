#include "memory/profile/profile_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/core/utf8.h"

namespace memory::profile {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
using base::store::Row;
using base::store::Transaction;

constexpr std::size_t kNameBytesMax = 64, kDescriptionBytesMax = 1024;
constexpr std::uint32_t kLimitCharsMax = 20'000;
constexpr std::int64_t kBlocksMax = 64, kVersionsKept = 100;

constexpr std::string_view kFields =
    "name, body, description, limit_chars, read_only, version, changed, changed_by";

std::vector<std::string> schema_steps() {
    const std::string columns =
        "tenant TEXT NOT NULL, user_name TEXT NOT NULL, agent TEXT NOT NULL, name TEXT NOT NULL, "
        "body TEXT NOT NULL, description TEXT NOT NULL, limit_chars BIGINT NOT NULL, read_only "
        "BIGINT NOT NULL, version BIGINT NOT NULL, changed BIGINT NOT NULL, changed_by TEXT NOT "
        "NULL, PRIMARY KEY (tenant, user_name, agent, name";
    return {"CREATE TABLE profile_block (" + columns + "))",
            "CREATE TABLE profile_version (" + columns + ", version))"};
}

Block read(const Row& row) {
    Block out;
    out.name = row.text(0);
    out.text = row.text(1);
    out.description = row.text(2);
    out.limit_chars = static_cast<std::uint32_t>(row.integer(3));
    out.read_only = row.integer(4) != 0;
    out.version = static_cast<std::uint32_t>(row.integer(5));
    out.changed_unix_ms = row.integer(6);
    out.by = row.text(7);
    return out;
}

Result<void> check_owner(const Owner& owner) {
    for (const auto& [field, text] :
         {std::pair<const char*, const std::string*>{"user", &owner.user},
          {"agent", &owner.agent}}) {
        if (text->size() <= 256 && base::utf8_valid_prefix_bytes(*text) == text->size()) continue;
        return fail_on(field, Code::invalid_argument,
                       "'{}' has {} bytes, expected UTF-8 of at most 256", field, text->size());
    }
    return {};
}

Result<void> check_name(std::string_view name) {
    const bool good =
        !name.empty() && name.size() <= kNameBytesMax && std::ranges::all_of(name, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        });
    if (good) return {};
    return fail_on("name", Code::invalid_argument,
                   "'{}' is no name of a block: 1 to {} of a-z, 0-9, _ and -", name.substr(0, 80),
                   kNameBytesMax);
}

Result<void> check_block(const Block& block) {
    if (block.limit_chars == 0 || block.limit_chars > kLimitCharsMax) {
        return fail_on("limit_chars", Code::invalid_argument,
                       "'limit_chars' is {}, expected 1 to {}", block.limit_chars, kLimitCharsMax);
    }
    for (const auto& [field, text] :
         {std::pair<const char*, const std::string*>{"text", &block.text},
          {"description", &block.description}}) {
        const std::size_t valid = base::utf8_valid_prefix_bytes(*text);
        if (valid == text->size()) continue;
        return fail_on(field, Code::invalid_argument, "'{}' is no UTF-8 at byte {}", field, valid);
    }
    if (block.description.size() > kDescriptionBytesMax) {
        return fail_on("description", Code::payload_too_large,
                       "'description' has {} bytes; the most is {}", block.description.size(),
                       kDescriptionBytesMax);
    }
    const std::size_t chars = base::utf8_length(block.text);
    if (chars <= block.limit_chars) return {};
    return fail_on("text", Code::payload_too_large,
                   "block '{}' would have {} characters, {} more than its limit of {}; shorten it, "
                   "or raise limit_chars",
                   block.name, chars, chars - block.limit_chars, block.limit_chars);
}

class SqlProfiles final : public Profiles {
public:
    SqlProfiles(truth::Truth& truth, const base::Clock& clock) : truth_(truth), clock_(clock) {}

    Result<void> prepare() {
        return truth_.each_store([](base::store::Store& store) {
            const auto steps = schema_steps();
            return base::store::migrate(store, "profile", steps);
        });
    }

    Result<std::vector<Block>> list(const Owner& owner) override {
        std::vector<Block> out;
        DG_TRY(truth_.store_of(owner.tenant).read([&](Transaction& tx) {
            return tx.query(fmt::format("SELECT {} FROM profile_block WHERE tenant = $1 AND "
                                        "user_name = $2 AND agent = $3 ORDER BY name",
                                        kFields),
                            {owner.tenant, owner.user, owner.agent}, [&](const Row& row) {
                                out.push_back(read(row));
                                return true;
                            });
        }));
        return out;
    }

    Result<Block> get(const Owner& owner, std::string_view name) override {
        std::optional<Block> found;
        DG_TRY(truth_.store_of(owner.tenant).read([&](Transaction& tx) -> Result<void> {
            found = DG_TRY(load(tx, owner, name));
            return {};
        }));
        if (!found) return no_block(name);
        return std::move(*found);
    }

    Result<Block> put(const Owner& owner, const Put& put, std::string_view by) override {
        return change(owner, put.name, by, [&](Block& block) -> Result<void> {
            if (put.expected_version && *put.expected_version != block.version) {
                return fail_on("expected_version", Code::failed_precondition,
                               "block '{}' has version {} by now, not {}; read it again and repeat",
                               put.name, block.version, *put.expected_version);
            }
            if (!put.unlock) DG_TRY(check_writable(block));
            if (put.text) block.text = *put.text;
            if (put.description) block.description = *put.description;
            if (put.limit_chars) block.limit_chars = *put.limit_chars;
            if (put.read_only) block.read_only = *put.read_only;
            return {};
        });
    }

    Result<Block> append(const Owner& owner, std::string_view name, std::string_view line,
                         std::string_view by) override {
        return change(owner, name, by, [&](Block& block) -> Result<void> {
            DG_TRY(check_writable(block));
            if (!block.text.empty() && !block.text.ends_with('\n')) block.text += '\n';
            block.text += line;
            return {};
        });
    }

    Result<Block> replace(const Owner& owner, std::string_view name, std::string_view before,
                          std::string_view after, std::string_view by) override {
        return change(owner, name, by, [&](Block& block) -> Result<void> {
            if (block.version == 0) return no_block(name);
            DG_TRY(check_writable(block));
            const std::size_t at = before.empty() ? std::string::npos : block.text.find(before);
            if (at == std::string::npos || block.text.find(before, at + 1) != std::string::npos) {
                return fail_on("before", Code::failed_precondition,
                               "the text to replace is {} in block '{}'; give a piece that is "
                               "there exactly once",
                               at == std::string::npos ? "not" : "more than once", name);
            }
            block.text.replace(at, before.size(), after);
            return {};
        });
    }

    Result<std::vector<Block>> history(const Owner& owner, std::string_view name) override {
        std::vector<Block> out;
        DG_TRY(truth_.store_of(owner.tenant).read([&](Transaction& tx) {
            return tx.query(fmt::format("SELECT {} FROM profile_version WHERE tenant = $1 AND "
                                        "user_name = $2 AND agent = $3 AND name = $4 ORDER BY "
                                        "version DESC",
                                        kFields),
                            {owner.tenant, owner.user, owner.agent, name}, [&](const Row& row) {
                                out.push_back(read(row));
                                return true;
                            });
        }));
        if (out.empty()) return no_block(name);
        return out;
    }

    Result<Block> restore(const Owner& owner, std::string_view name, std::uint32_t version,
                          std::string_view by) override {
        const std::vector<Block> versions = DG_TRY(history(owner, name));
        const auto found = std::ranges::find(versions, version, &Block::version);
        if (found == versions.end()) {
            return fail_on("version", Code::not_found,
                           "block '{}' has no version {}; kept are {} to {}", name, version,
                           versions.back().version, versions.front().version);
        }
        return change(owner, name, by, [&](Block& block) -> Result<void> {
            DG_TRY(check_writable(block));
            block.text = found->text;
            block.description = found->description;
            block.limit_chars = found->limit_chars;
            return {};
        });
    }

    Result<void> remove(const Owner& owner, std::string_view name) override {
        std::int64_t removed = 0;
        DG_TRY(truth_.store_of(owner.tenant).write([&](Transaction& tx) -> Result<void> {
            for (const char* table : {"profile_version", "profile_block"}) {
                removed = DG_TRY(tx.run(fmt::format("DELETE FROM {} WHERE tenant = $1 AND "
                                                    "user_name = $2 AND agent = $3 AND name = $4",
                                                    table),
                                        {owner.tenant, owner.user, owner.agent, name}));
            }
            return {};
        }));
        if (removed == 0) return no_block(name);
        return {};
    }

    Result<std::string> render(const Owner& owner) override {
        std::string out;
        for (const Block& block : DG_TRY(list(owner))) {
            out +=
                fmt::format("<{} chars=\"{}/{}\"{}>\n", block.name, base::utf8_length(block.text),
                            block.limit_chars, block.read_only ? " read_only=\"true\"" : "");
            if (!block.description.empty()) out += "(" + block.description + ")\n";
            out += block.text;
            if (!block.text.empty() && !block.text.ends_with('\n')) out += '\n';
            out += fmt::format("</{}>\n", block.name);
        }
        return out;
    }

private:
    static std::unexpected<base::Error> no_block(std::string_view name) {
        return fail_on("name", Code::not_found, "there is no block '{}'", name.substr(0, 80));
    }
    static Result<void> check_writable(const Block& block) {
        if (!block.read_only) return {};
        return fail_on("name", Code::failed_precondition,
                       "block '{}' is read only; only a put with unlock changes it", block.name);
    }

    static Result<std::optional<Block>> load(Transaction& tx, const Owner& owner,
                                             std::string_view name) {
        std::optional<Block> found;
        DG_TRY(tx.query(fmt::format("SELECT {} FROM profile_block WHERE tenant = $1 AND user_name "
                                    "= $2 AND agent = $3 AND name = $4",
                                    kFields),
                        {owner.tenant, owner.user, owner.agent, name}, [&](const Row& row) {
                            found = read(row);
                            return true;
                        }));
        return found;
    }

    static Result<void> write(Transaction& tx, std::string_view table, const Owner& owner,
                              const Block& block) {
        DG_TRY(tx.run(
            fmt::format("INSERT INTO {}(tenant, user_name, agent, {}) VALUES ($1, $2, "
                        "$3, $4, $5, $6, $7, $8, $9, $10, $11)",
                        table, kFields),
            {owner.tenant, owner.user, owner.agent, block.name, block.text, block.description,
             std::int64_t{block.limit_chars}, std::int64_t{block.read_only},
             std::int64_t{block.version}, block.changed_unix_ms, block.by}));
        return {};
    }

    /// Lets `edit` work on the block, a new one where there is none; keeps every state.
    Result<Block> change(const Owner& owner, std::string_view name, std::string_view by,
                         const std::function<Result<void>(Block&)>& edit) {
        DG_TRY(check_owner(owner));
        DG_TRY(check_name(name));
        Block block;
        DG_TRY(truth_.store_of(owner.tenant).write([&](Transaction& tx) -> Result<void> {
            block = DG_TRY(load(tx, owner, name)).value_or(Block{.name = std::string(name)});
            DG_TRY(edit(block));
            DG_TRY(check_block(block));
            if (block.version == 0) DG_TRY(check_room(tx, owner));
            ++block.version;
            block.changed_unix_ms = clock_.unix_ns() / 1'000'000;
            block.by = by;
            DG_TRY(
                tx.run("DELETE FROM profile_block WHERE tenant = $1 AND user_name = $2 AND agent "
                       "= $3 AND name = $4",
                       {owner.tenant, owner.user, owner.agent, block.name}));
            DG_TRY(write(tx, "profile_block", owner, block));
            DG_TRY(write(tx, "profile_version", owner, block));
            DG_TRY(
                tx.run("DELETE FROM profile_version WHERE tenant = $1 AND user_name = $2 AND "
                       "agent = $3 AND name = $4 AND version <= $5",
                       {owner.tenant, owner.user, owner.agent, block.name,
                        std::int64_t{block.version} - kVersionsKept}));
            return {};
        }));
        return block;
    }

    static Result<void> check_room(Transaction& tx, const Owner& owner) {
        std::int64_t count = 0;
        DG_TRY(
            tx.query("SELECT count(*) FROM profile_block WHERE tenant = $1 AND user_name = $2 "
                     "AND agent = $3",
                     {owner.tenant, owner.user, owner.agent}, [&](const Row& row) {
                         count = row.integer(0);
                         return true;
                     }));
        if (count < kBlocksMax) return {};
        return fail_on("name", Code::resource_exhausted,
                       "there are {} blocks already; they are always in context, so no more are "
                       "taken",
                       count);
    }

    truth::Truth& truth_;
    const base::Clock& clock_;
};

}  // namespace

Result<std::unique_ptr<Profiles>> make_profiles(truth::Truth& truth, const base::Clock& clock) {
    auto made = std::make_unique<SqlProfiles>(truth, clock);
    DG_TRY(made->prepare());
    return std::unique_ptr<Profiles>(std::move(made));
}

}  // namespace memory::profile
