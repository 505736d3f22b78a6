# SPDX-License-Identifier: ISC
#
# Files of SQL as an array of C strings, a line a literal.
BEGIN {
	print "/* Made of auditd/schema by daemon/schema.awk. */\n"
	print "#include \"daemon/ctl_schema.h\"\n"
	print "const char *const schema_text[] = {"
}
FNR == 1 && NR > 1 { print "\t," }
{
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	gsub(/\t/, "\\t")
	printf "\t\"%s\\n\"\n", $0
}
END {
	print "};\n"
	print "const size_t schema_count = sizeof(schema_text) / sizeof(schema_text[0]);"
}
