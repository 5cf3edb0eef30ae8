#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <utility>

#include "base/document/document.h"
#include "base/files/file_error.h"
#include "base/files/unique_fd.h"
#include "sphere/guard/secret_store.h"

namespace sphere::guard {
namespace {

using base::Code;
using base::Result;
using Values = std::map<std::string, std::string, std::less<>>;

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::size_t kNameBytesMax = 128;

class FileSecrets final : public SecretStore {
public:
    FileSecrets(std::string path, Values values, audit::Redactor redactor)
        : path_(std::move(path)),
          values_(std::move(values)),
          redactor_(std::make_shared<const audit::Redactor>(std::move(redactor))) {}

    Result<std::string> value(std::string_view name) const override {
        const auto found = values_.find(name);
        if (found != values_.end()) return found->second;
        return base::fail_on("secrets", Code::not_found, "secrets: {} is not in {}; add it there",
                             name, path_);
    }
    std::shared_ptr<const audit::Redactor> redactor() const override { return redactor_; }

private:
    const std::string path_;
    const Values values_;
    const std::shared_ptr<const audit::Redactor> redactor_;
};

/// What was checked is what is read: one descriptor, no second look at the name.
Result<std::string> read_private(const std::string& path) {
    const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file) return base::fail_errno(errno, "open", path);
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) return base::fail_errno(errno, "stat", path);
    const auto refuse = [&](std::string_view what, std::string_view help) {
        return base::fail_on(path, Code::permission_denied,
                             "the secrets file {} {}: {}; nothing was read", path, what, help);
    };
    if (!S_ISREG(facts.st_mode)) return refuse("is not a plain file", "name one");
    if (facts.st_uid != ::geteuid()) {
        return refuse(fmt::format("belongs to user {}, this is user {}", facts.st_uid, ::geteuid()),
                      "chown it");
    }
    if ((facts.st_mode & 077) != 0) {
        return refuse(fmt::format("has mode {:04o}, so others reach it", facts.st_mode & 07777),
                      "chmod 600 it");
    }
    if (static_cast<std::uint64_t>(facts.st_size) > kFileBytesMax) {
        return base::fail_on(path, Code::payload_too_large, "{} has {} bytes, at most {} are read",
                             path, facts.st_size, kFileBytesMax);
    }
    std::string text(static_cast<std::size_t>(facts.st_size), '\0');
    std::size_t got = 0;
    while (got < text.size()) {
        const ssize_t n = ::read(file.get(), text.data() + got, text.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return base::fail_errno(errno, "read", path);
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    text.resize(got);
    return text;
}

bool plain_name(std::string_view name) {
    if (name.empty() || name.size() > kNameBytesMax) return false;
    for (const char c : name) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '_' && c != '-' && c != '.') return false;
    }
    return true;
}

Result<Values> parse_values(const std::string& text, const std::string& path) {
    auto parsed = base::parse_document(text, path);
    if (!parsed) {
        // A parser's message may quote the text; only the place is told.
        return base::fail_on(parsed.error().subject, Code::invalid_argument,
                             "{}: not a map of names to values in YAML", parsed.error().subject);
    }
    const base::Node& root = *parsed;
    Values values;
    if (root.kind == base::Node::Kind::null) return values;
    const auto fault = [&](const base::Node& node, std::string_view what) {
        const std::string at = base::place(path, node);
        return base::fail_on(at, Code::invalid_argument, "{}: {}", at, what);
    };
    if (root.kind != base::Node::Kind::map) return fault(root, "expected NAME: VALUE lines");
    for (const auto& [name, node] : root.members) {
        if (!plain_name(name)) {
            return fault(node, "a secret's name is 1 to 128 letters, digits, '_', '-' or '.'");
        }
        if (node.kind != base::Node::Kind::scalar || node.text.empty()) {
            return fault(node, "a secret's value is a text that is not empty");
        }
        if (node.text.find('\0') != std::string::npos) {
            return fault(node, "a secret's value has no NUL byte");
        }
        values.emplace(name, node.text);
    }
    return values;
}

}  // namespace

Result<std::unique_ptr<SecretStore>> load_secrets(const std::string& path) {
    const std::string text = DG_TRY(read_private(path));
    Values values = DG_TRY(parse_values(text, path));
    std::vector<audit::Secret> secrets;
    for (const auto& [name, value] : values) secrets.push_back({name, value});
    audit::Redactor redactor = DG_TRY(audit::Redactor::create(secrets));
    return std::make_unique<FileSecrets>(path, std::move(values), std::move(redactor));
}

}  // namespace sphere::guard
