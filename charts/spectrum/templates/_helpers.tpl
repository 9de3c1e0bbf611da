{{/* Name of the release's objects: <release>-spectrum, or the release's name when it says so already. */}}
{{- define "spectrum.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* What the pods of one service are selected by: called with a dict of root and service. */}}
{{- define "spectrum.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end }}

{{- define "spectrum.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The configuration as a Spectrum 2 .cfg. */}}
{{- define "spectrum.cfg" -}}
{{- range $section, $options := .Values.config }}
[{{ $section }}]
{{- range $option, $value := $options }}
{{- if kindIs "slice" $value }}
{{- range $value }}
{{ $option }} = {{ . }}
{{- end }}
{{- else if not (eq (toString $value) "") }}
{{ $option }} = {{ if kindIs "float64" $value }}{{ $value | toJson }}{{ else }}{{ $value }}{{ end }}
{{- end }}
{{- end }}
{{ end }}
{{- end }}
