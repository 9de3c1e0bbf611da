{{/* The spec of a service's pod: called with a dict of root, service and settings. */}}
{{- define "spectrum.pod" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
automountServiceAccountToken: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile:
    type: RuntimeDefault
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "spectrum.selector" (dict "root" $root "service" .service) | nindent 8 }}
containers:
  - name: {{ .service }}
    image: {{ printf "%s/%s:%s" $values.image.repository .service ($values.image.tag | default $root.Chart.AppVersion) | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    env:
      - name: SPECTRUM_HTTP_HOST
        value: 0.0.0.0
      - name: SPECTRUM_HTTP_PORT
        value: '9100'
      {{- range $variable, $key := index $values.secret .service }}
      - name: {{ $variable }}
        valueFrom:
          secretKeyRef:
            name: {{ $values.secret.name }}
            key: {{ $key }}
      {{- end }}
    ports:
      - name: http
        containerPort: 9100
    readinessProbe:
      httpGet:
        path: /readyz
        port: http
      periodSeconds: 5
    livenessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 10
      failureThreshold: 6
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    resources:
      {{- toYaml .settings.resources | nindent 6 }}
    volumeMounts:
      - name: config
        mountPath: /etc/spectrum
        readOnly: true
      - name: tmp
        mountPath: /tmp
volumes:
  - name: config
    configMap:
      name: {{ include "spectrum.fullname" $root }}
  - name: tmp
    emptyDir: {}
{{- end }}
