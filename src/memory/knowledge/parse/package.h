#pragma once
// Office files: a ZIP of XML parts. Whatever a hostile one holds, what is unpacked is bounded.

#include <pugixml.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "memory/knowledge/parsed.h"

namespace memory::knowledge::parse {

class Package {
public:
    /// Unpacks the parts whose names `wanted` takes. Errors: invalid_argument (damaged),
    /// failed_precondition (encrypted), payload_too_large (too many files, or they unpack to too
    /// much or to far more than they are packed).
    static base::Result<Package> open(std::string_view bytes, const ParseRequest& request,
                                      const std::function<bool(std::string_view)>& wanted);

    bool has(const std::string& name) const { return parts_.contains(name); }
    /// Null where there is no such part. Errors: invalid_argument (no XML, or too deep).
    base::Result<const pugi::xml_document*> xml(const std::string& name);
    /// Relation id -> part, of `name`'s relations.
    base::Result<std::map<std::string, std::string>> relations(const std::string& name);
    /// Names, in order.
    const std::map<std::string, std::string>& parts() const { return parts_; }

private:
    std::map<std::string, std::string> parts_;
    std::map<std::string, std::unique_ptr<pugi::xml_document>> read_;
};

/// The name without its prefix.
std::string_view local_name(const pugi::xml_node& node);
/// The attribute of that local name; "" without.
std::string_view attribute(const pugi::xml_node& node, std::string_view name);
/// The first child of that local name.
pugi::xml_node child(const pugi::xml_node& node, std::string_view name);
/// dc:title of docProps/core.xml.
base::Result<std::string> title_of(Package& package);

}  // namespace memory::knowledge::parse
